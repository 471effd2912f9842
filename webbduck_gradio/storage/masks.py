"""Inpainting masks: interpretation of mask files, and resizing masks along with their images.

A mask has mode L: 0 keeps the image, 255 is inpainted, values between are blended. Used both by admission,
before a job is queued, and by the core, so that both see the same mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ..errors import RequestError
from . import images

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Values = NDArray[numpy.uint8]

EMPTY = "The mask is empty; paint over what should change."
HALF = 128
"""Threshold of a binary mask."""
NOISE = 16
"""Values this close to black or white count as such, because of JPEG artefacts."""
FAINT = 64
"""A mask with a lower maximum is refused."""
COLOURED = 64
"""A pixel is coloured, not grey, if its channels differ at least this much."""
CELL = 8
"""Side of a latent pixel in image pixels."""
MANY_COLOURS = 256
"""A photograph has more distinct colours (at 5 bits per channel), a painted mask fewer."""


@contextmanager
def opened(
    path: Path, patience: float | None = None, exact: bool = False
) -> Iterator[tuple[Image.Image, list[str]]]:
    """The mask in a file, upright, and sentences about how it was interpreted.

    White on black, in any colour: the brightest channel counts. In a file with transparency, alpha is the
    mask, whatever the colours, as in AUTOMATIC1111. Values are scaled so that the strongest is 255; with
    `exact`, for soft inpainting, they stay as they are, but for those within `NOISE` of black and white, and
    no mask is too faint. The pixels count towards `images.BUDGET` until the end of the block. Raises
    `RequestError` for a faint or ambiguous mask, `StorageError` for an unreadable file; an empty mask is
    black.
    """
    with images.decoded(path, "The mask", grey=True, patience=patience) as (picture, header):
        mask, notes = _interpreted(picture, exact)
        yield mask, [*header.notes("The mask")[:1], *notes]


def read(path: Path, patience: float | None = None, exact: bool = False) -> tuple[Image.Image, list[str]]:
    """As `opened`, but the result does not count towards the budget."""
    with opened(path, patience, exact) as found:
        return found


def _interpreted(picture: Image.Image, exact: bool) -> tuple[Image.Image, list[str]]:
    values, notes = _by_alpha(picture) if _alpha_has_shape(picture) else _by_colour(picture)
    strongest = extremes(values)[1]
    if strongest <= NOISE:
        return Image.new("L", picture.size), []
    if exact:
        white = 255 - NOISE
        return values.point([0] * (NOISE + 1) + [*range(NOISE + 1, white)] + [255] * (256 - white)), notes
    if strongest < FAINT:
        raise RequestError(
            f"The mask is too faint: its strongest paint is {strongest} of 255; paint it white and opaque."
        )
    if strongest < 255 - 2 * NOISE:
        notes.append(
            f"The mask's strongest paint is {strongest} of 255; it was taken as fully painted, "
            "the rest in proportion."
        )
    mask = values.point(_levels(NOISE, strongest - NOISE))
    return mask, [*notes, *_softness(mask)]


def hard(mask: Image.Image) -> Image.Image:
    """White where the mask is painted at least half, else black."""
    return mask.point([0] * HALF + [255] * (256 - HALF))


def painted(mask: Image.Image) -> Image.Image:
    """White where the mask is painted at all, else black."""
    return mask.point([0] + [255] * 255)


def full(mask: Image.Image) -> Image.Image:
    """White where the mask is fully painted, else black."""
    return mask.point([0] * 255 + [255])


def has_grey(mask: Image.Image) -> bool:
    """Whether any pixel is partly painted."""
    return any(mask.histogram()[1:255])


def _levels(low: int, high: int) -> list[int]:
    """A lookup table that maps `low` and below to black, `high` and above to white."""
    return [min(255, max(0, round((value - low) * 255 / (high - low)))) for value in range(256)]


def _alpha_has_shape(picture: Image.Image) -> bool:
    """Whether alpha varies, instead of being the same everywhere."""
    if picture.mode != "RGBA":
        return False
    least, most = extremes(picture.getchannel("A"))
    return most <= NOISE or most - least > NOISE


def _by_alpha(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    alpha = picture.getchannel("A")
    least = HALF if extremes(alpha)[1] >= HALF else NOISE + 1
    count = sum(alpha.histogram()[least:])
    if not count:
        return alpha, []
    step = max(1, count // 100_000)
    seen = coloured = dark = bright = 0
    found: set[int] = set()
    for _, part in images.strips(picture):
        pixels = numpy.asarray(part)
        solid = pixels[pixels[..., 3] >= least][:, :3]
        found |= _colours(solid[-seen % step :: step])
        seen += len(solid)
        coloured += _coloured(solid)
        light = solid.max(axis=-1)
        dark += int((light < FAINT).sum())
        bright += int((light >= 255 - FAINT).sum())
    if len(found) > MANY_COLOURS:
        raise RequestError(
            "The mask looks like a picture with transparency, so it is unclear what is painted; "
            "paint the mask white on black, or opaque on transparent."
        )
    if coloured / count < 0.01 and min(dark, bright) / count > 0.02:
        values = Image.new("L", picture.size)
        for top, part in images.strips(picture):
            pixels = numpy.asarray(part)
            values.paste(_grey(numpy.minimum(pixels[..., 3], pixels[..., :3].max(axis=-1))), (0, top))
        return values, [
            "The mask is black, white and transparent; only its white parts count as painted "
            f"({_percent(values)} of the picture)."
        ]
    return alpha, [
        "The mask's shape was taken from its transparency: its opaque parts count as painted "
        f"({_percent(alpha)} of the picture)."
    ]


def _by_colour(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    if picture.mode == "L":
        return picture, []
    values = Image.new("L", picture.size)
    coloured = bright = differing = 0
    for top, part in images.strips(picture):
        pixels = numpy.asarray(part)[..., :3]
        strongest = pixels.max(axis=-1)
        values.paste(_grey(strongest), (0, top))
        coloured += _coloured(pixels)
        bright += int((strongest >= HALF).sum())
        # Saturated colours that look dark, such as blue.
        luminance = numpy.asarray(part.convert("RGB").convert("L"))
        differing += int(((strongest >= HALF) & (luminance < HALF)).sum())
    if not coloured:
        return values, []
    if coloured > 0.01 * picture.width * picture.height and extremes(values)[0] >= HALF:
        raise RequestError(
            "The mask is coloured and has no black part, so it is unclear what is painted; "
            "paint it white on black."
        )
    if differing <= 0.01 * bright:
        return values, []
    note = f"The mask is coloured; every colour counts as painted ({_percent(values)} of the picture)."
    return values, [note]


def _grey(values: Values) -> Image.Image:
    return Image.fromarray(numpy.ascontiguousarray(values), "L")


def extremes(channel: Image.Image) -> tuple[int, int]:
    """Minimum and maximum of an image of mode L."""
    counts = channel.histogram()
    used = [value for value in range(256) if counts[value]]
    return used[0], used[-1]


def _coloured(pixels: Values) -> int:
    """Number of coloured pixels."""
    return int((pixels.max(axis=-1) - pixels.min(axis=-1) >= COLOURED).sum())


def _colours(pixels: Values) -> set[int]:
    """Distinct colours, at 5 bits per channel, of pixels of shape (count, 3)."""
    packed = (pixels >> 3).astype(numpy.uint32)
    return set(numpy.unique(packed[:, 0] << 10 | packed[:, 1] << 5 | packed[:, 2]).tolist())


def _percent(values: Image.Image) -> str:
    counts = values.histogram()
    share = sum(counts[min(HALF, extremes(values)[1]) :]) / max(1, sum(counts)) * 100
    return f"{share:.0f} %" if share >= 1 else "less than 1 %"


def _softness(mask: Image.Image) -> Iterable[str]:
    counts = mask.histogram()
    painted_count = sum(counts[1:])
    soft = painted_count - counts[255]
    if soft and _inner(mask) > painted_count / 100:
        share = max(1, round(100 * soft / painted_count))
        yield (
            f"{share} % of the mask is partly painted; there the old and the new picture are blended. With "
            "soft_inpainting on it is changed less instead."
        )


def _inner(mask: Image.Image) -> int:
    """Number of partly painted pixels among others; smoothed edges are too thin to have any."""
    soft = mask.point([0] + [255] * 254 + [0])
    return soft.filter(ImageFilter.MinFilter(3)).histogram()[255]


# ---- resizing with the image


def cut_box(size: tuple[int, int], wanted: tuple[int, int]) -> Box:
    """The part of an image of `size` that resize mode "crop" keeps: the centre, in the aspect ratio of
    `wanted`."""
    (width, height), (wide, high) = size, wanted
    if width * high > wide * height:
        kept = height * wide / high
        return ((width - kept) / 2, 0.0, (width + kept) / 2, float(height))
    kept = width * high / wide
    return (0.0, (height - kept) / 2, float(width), (height + kept) / 2)


def fit_within(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """The largest size with the aspect ratio of `size` within `wanted`, as for "pad"; at least 1 x 1."""
    (width, height), (wide, high) = size, wanted
    if width * high > wide * height:
        return wide, max(1, round(height * wide / width))
    return max(1, round(width * high / height)), high


def share_cut_off(mask: Image.Image, wanted: tuple[int, int]) -> float:
    """The fraction of the mask, 0 to 1, that resize mode "crop" cuts off."""
    left, top, right, bottom = cut_box(mask.size, wanted)
    kept = mask.crop((int(left), int(top), -int(-right // 1), -int(-bottom // 1)))
    return 1 - sum(kept.histogram()[1:]) / max(1, sum(mask.histogram()[1:]))


def fit(mask: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """The mask resized like its image by `resize_mode`; padding is inpainted, as it has no content."""
    if mask.size == size:
        return mask
    if mode == "crop":
        return resize(mask, size, cut_box(mask.size, size))
    if mode == "stretch":
        return resize(mask, size)
    within = fit_within(mask.size, size)
    whole = Image.new("L", size, 255)
    whole.paste(resize(mask, within), ((size[0] - within[0]) // 2, (size[1] - within[1]) // 2))
    return whole


def resize(mask: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """The part `box` of the mask at another size. Downscaling takes the maximum, so that no small spot is
    lost; upscaling keeps a binary mask binary."""
    left, top, right, bottom = box or (0.0, 0.0, float(mask.width), float(mask.height))
    if right - left > size[0] or bottom - top > size[1]:
        values = _strongest(numpy.asarray(mask), top, bottom, size[1])
        return Image.fromarray(_strongest(values.T, left, right, size[0]).T.copy(), "L")
    larger = mask.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    is_hard = sum(mask.histogram()[1:255]) == 0
    return hard(larger) if is_hard else larger


def cells(mask: Image.Image) -> Image.Image:
    """The mask at latent resolution, scaled up again: white where any pixel of the 8 x 8 cell is painted, so
    that thin strokes are not missed. Sides must be multiples of 8."""
    return painted(soft_cells(mask))


def soft_cells(mask: Image.Image) -> Image.Image:
    """As `cells`, but each has the strongest paint of its pixels."""
    small = resize(mask, (mask.width // CELL, mask.height // CELL))
    return small.resize(mask.size, Image.Resampling.NEAREST)


def _strongest(values: Values, low: float, high: float, count: int) -> Values:
    """The rows from `low` to `high` reduced to `count` rows by maximum."""
    edges = low + numpy.arange(count) * (high - low) / count
    starts = numpy.minimum(edges.astype(int), len(values) - 1)
    result: Values = numpy.maximum.reduceat(values[: -int(-high // 1)], starts, axis=0)
    return result
