"""Masks of inpainting: what a file's pixels mean, and how a mask follows its picture to another size.

A mask is of mode L: 0 keeps the picture, 255 draws it anew, what lies between blends the two. Admission reads
masks here before a job is queued and the core when it runs, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

from . import images
from .errors import RequestError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Values = NDArray[numpy.uint8]

EMPTY = "The mask is empty; paint over what should change."
HALF = 128
"""From here on a pixel counts as painted where there is only yes or no."""
NOISE = 16
"""So far from black and from white a JPEG strays around edges; it counts as black and white."""
FAINT = 64
"""A mask whose strongest paint is weaker than this is refused."""
COLOURED = 64
"""How far apart the channels of a pixel lie that has a colour, not a grey."""
CELL = 8
"""Pixels along a side of what one pixel of the latents covers."""
MANY_COLOURS = 256
"""Paint has fewer colours than this (at 5 bits a channel), a photograph more."""


def read(path: Path) -> tuple[Image.Image, list[str]]:
    """The mask in a file, upright, and sentences about how it was understood.

    White paint on black, of any colour: the brightest channel counts. Where the file has transparent parts
    they carry the shape, and opaque paint counts whatever its colour, as in AUTOMATIC1111. Paint that is
    nowhere fully opaque counts as if its strongest part were. Raises `RequestError` for a mask that is faint
    or cannot be told, `StorageError` for a file that cannot be read; an empty mask is black.
    """
    notes = images.look(path, "The mask").notes("The mask")[:1]
    pixels = numpy.asarray(images.read(path, "The mask"))
    values, said = _by_alpha(pixels) if _alpha_has_shape(pixels) else _by_colour(pixels)
    strongest = int(values.max())
    if strongest <= NOISE:
        return Image.new("L", (pixels.shape[1], pixels.shape[0])), notes
    if strongest < FAINT:
        raise RequestError(
            f"The mask is too faint: its strongest paint is {strongest} of 255; paint it white and opaque."
        )
    if strongest < 255 - 2 * NOISE:
        said.append(
            f"The mask's strongest paint is {strongest} of 255; it was taken as fully painted, "
            "the rest in proportion."
        )
    mask = Image.fromarray(values, "L").point(_levels(NOISE, strongest - NOISE))
    return mask, [*notes, *said, *_softness(mask)]


def hard(mask: Image.Image) -> Image.Image:
    """White where the mask is painted at least half, else black."""
    return mask.point([0] * HALF + [255] * (256 - HALF))


def painted(mask: Image.Image) -> Image.Image:
    """White where the mask is painted at all, else black."""
    return mask.point([0] + [255] * 255)


def _levels(low: int, high: int) -> list[int]:
    """A table that makes `low` and below black, `high` and above white."""
    return [min(255, max(0, round((value - low) * 255 / (high - low)))) for value in range(256)]


def _alpha_has_shape(pixels: Values) -> bool:
    """Not where all is opaque, nor where one transparency lies evenly over all."""
    if pixels.shape[2] < 4:
        return False
    least, most = int(pixels[..., 3].min()), int(pixels[..., 3].max())
    return most <= NOISE or most - least > NOISE


def _by_alpha(pixels: Values) -> tuple[Values, list[str]]:
    alpha = pixels[..., 3]
    solid = pixels[alpha >= HALF][:, :3] if alpha.max() >= HALF else pixels[alpha > NOISE][:, :3]
    if not len(solid):
        return alpha, []
    if _is_photograph(solid):
        raise RequestError(
            "The mask looks like a picture with transparent parts, so that what is painted cannot be told; "
            "paint the mask white on black, or opaque on transparent."
        )
    light = solid.max(axis=-1)
    grey = _coloured_share(solid) < 0.01
    both = min(float((light < FAINT).mean()), float((light >= 255 - FAINT).mean())) > 0.02
    if grey and both:
        values = numpy.minimum(alpha, pixels[..., :3].max(axis=-1))
        return values, [
            "The mask is black, white and transparent; only its white parts count as painted "
            f"({_percent(values)} of the picture)."
        ]
    return alpha, [
        "The mask's shape was taken from its transparency: its opaque parts count as painted "
        f"({_percent(alpha)} of the picture)."
    ]


def _by_colour(pixels: Values) -> tuple[Values, list[str]]:
    colours = pixels[..., :3]
    values = colours.max(axis=-1)
    if _coloured_share(colours) == 0:
        return values, []
    if _coloured_share(colours) > 0.01 and values.min() >= HALF:
        raise RequestError(
            "The mask is coloured and has no black part, so that what is painted cannot be told; "
            "paint it white on black."
        )
    # What people see as dark although it is a full colour, such as blue.
    luminance = numpy.asarray(Image.fromarray(colours).convert("L"))
    differing = (values >= HALF) & (luminance < HALF)
    if differing.mean() <= 0.01 * (values >= HALF).mean():
        return values, []
    said = f"The mask is coloured; every colour counts as painted ({_percent(values)} of the picture)."
    return values, [said]


def _coloured_share(colours: Values) -> float:
    spread = colours.max(axis=-1) - colours.min(axis=-1)
    return float((spread >= COLOURED).mean())


def _is_photograph(colours: Values) -> bool:
    step = max(1, len(colours) // 100_000)
    packed = (colours[::step] >> 3).astype(numpy.uint32)
    return len(numpy.unique(packed[:, 0] << 10 | packed[:, 1] << 5 | packed[:, 2])) > MANY_COLOURS


def _percent(values: Values) -> str:
    share = float((values >= min(HALF, int(values.max()))).mean()) * 100
    return f"{share:.0f} %" if share >= 1 else "less than 1 %"


def _softness(mask: Image.Image) -> Iterable[str]:
    counts = mask.histogram()
    drawn = sum(counts[1:])
    soft = drawn - counts[255]
    if soft > drawn / 4:
        share = round(100 * soft / drawn)
        yield f"{share} % of the mask is painted in part; there the old and the new picture are blended."


# ---- following the picture


def cut_box(size: tuple[int, int], wanted: tuple[int, int]) -> Box:
    """The part of a picture of `size` that resize mode "crop" keeps: the middle, of the shape of `wanted`."""
    (width, height), (wide, high) = size, wanted
    if width * high > wide * height:
        kept = height * wide / high
        return ((width - kept) / 2, 0.0, (width + kept) / 2, float(height))
    kept = width * high / wide
    return (0.0, (height - kept) / 2, float(width), (height + kept) / 2)


def inside(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the shape of `size` within `wanted`, as "pad" has it; at least 1 x 1."""
    (width, height), (wide, high) = size, wanted
    if width * high > wide * height:
        return wide, max(1, round(height * wide / width))
    return max(1, round(width * high / height)), high


def share_cut_off(mask: Image.Image, wanted: tuple[int, int]) -> float:
    """The part of the mask's paint, 0 to 1, that resize mode "crop" cuts off."""
    left, top, right, bottom = cut_box(mask.size, wanted)
    drawn = numpy.asarray(mask) > 0
    kept = drawn[int(top) : -int(-bottom // 1), int(left) : -int(-right // 1)]
    return 1 - float(kept.sum()) / max(1, int(drawn.sum()))


def fit(mask: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """The mask moved as its picture is by `resize_mode`; padded sides are painted: nothing is there yet."""
    if mask.size == size:
        return mask
    if mode == "crop":
        return resize(mask, size, cut_box(mask.size, size))
    if mode == "stretch":
        return resize(mask, size)
    within = inside(mask.size, size)
    whole = Image.new("L", size, 255)
    whole.paste(resize(mask, within), ((size[0] - within[0]) // 2, (size[1] - within[1]) // 2))
    return whole


def resize(mask: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """The part `box` of the mask at another size. What gets smaller keeps its strongest paint, so that no
    small spot is lost; what gets larger stays black and white where it was."""
    left, top, right, bottom = box or (0.0, 0.0, float(mask.width), float(mask.height))
    if right - left > size[0] or bottom - top > size[1]:
        values = _strongest(numpy.asarray(mask), top, bottom, size[1])
        return Image.fromarray(_strongest(values.T, left, right, size[0]).T.copy(), "L")
    larger = mask.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    is_hard = sum(mask.histogram()[1:255]) == 0
    return hard(larger) if is_hard else larger


def cells(mask: Image.Image) -> Image.Image:
    """White, in whole cells of the latents, wherever any pixel of the cell is painted; sides are multiples
    of 8. The latents are drawn or kept by cells: a thinner stroke would be missed."""
    small = resize(mask, (mask.width // CELL, mask.height // CELL))
    return painted(small).resize(mask.size, Image.Resampling.NEAREST)


def _strongest(values: Values, low: float, high: float, count: int) -> Values:
    """The rows from `low` to `high` as `count` rows, each the largest of those that it stands for."""
    edges = low + numpy.arange(count) * (high - low) / count
    starts = numpy.minimum(edges.astype(int), len(values) - 1)
    result: Values = numpy.maximum.reduceat(values[: -int(-high // 1)], starts, axis=0)
    return result
