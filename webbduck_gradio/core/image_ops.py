"""Operations on input images and masks: reading, resizing, filling, cropping, compositing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat
from scipy.ndimage import maximum_filter

from ..errors import GenerationError, ModelError
from ..models.input_checks import InputImages
from ..storage import images, masks
from ..storage.pixel_budget import LONG_PATIENCE


def input_path(inputs: InputImages | None, file_id: str | None) -> Path:
    """The file of an input image. Raises `NotFoundError`, and `ModelError` if there is no store."""
    if inputs is None or file_id is None:
        raise ModelError("This generator has no store of input pictures; give it one to use them.")
    return inputs.path(file_id)


def read(path: Path) -> Image.Image:
    """The image as it is displayed: upright, 8 bits, transparency on white. Mode RGB."""
    return images.opaque(read_with_alpha(path))


def read_with_alpha(path: Path) -> Image.Image:
    """Like `read`, but RGBA if any part of it is transparent."""
    image = images.read(path, "The input picture", LONG_PATIENCE)
    return image if images.is_transparent(image) else image.convert("RGB")


def read_mask(path: Path) -> Image.Image:
    """White where the mask is at least half opaque, else black. Mode L."""
    return masks.hard(read_soft_mask(path))


def read_soft_mask(path: Path, exact: bool = False) -> Image.Image:
    """255 where to inpaint, 0 where to keep, a blend in between. Mode L. `exact`: as in `masks.opened`."""
    return masks.read(path, LONG_PATIENCE, exact)[0]


def fit(image: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """`image` at exactly `size`: 'crop' cuts off the excess, 'pad' fills the sides, 'stretch' distorts."""
    if image.size == size:
        return image
    if mode == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    if mode == "crop":
        return image.resize(size, Image.Resampling.LANCZOS, box=masks.cut_box(image.size, size))
    inside = image.resize(masks.fit_within(image.size, size), Image.Resampling.LANCZOS)
    left, top = (size[0] - inside.width) // 2, (size[1] - inside.height) // 2
    # Padding repeats the image's edges, which disturbs a model less than a solid colour.
    whole = Image.new(image.mode, size)
    if left > 0 or inside.width < size[0]:
        whole.paste(inside.crop((0, 0, 1, inside.height)).resize((left, size[1])), (0, 0)) if left else None
        right = size[0] - left - inside.width
        edge = inside.crop((inside.width - 1, 0, inside.width, inside.height))
        whole.paste(edge.resize((right, size[1])), (left + inside.width, 0))
    if inside.height < size[1]:
        whole.paste(inside.crop((0, 0, inside.width, 1)).resize((size[0], top)), (0, 0)) if top else None
        bottom = size[1] - top - inside.height
        edge = inside.crop((0, inside.height - 1, inside.width, inside.height))
        whole.paste(edge.resize((size[0], bottom)), (0, top + inside.height))
    whole.paste(inside, (left, top))
    return whole


def feather_mask(mask: Image.Image, blur: int) -> Image.Image:
    """The mask with an edge that fades outwards over about `reach(blur)` pixels, for compositing.

    The mask itself stays opaque, however thin it is; a blur alone would let the original show through.
    """
    if not blur:
        return mask
    grown = Image.fromarray(maximum_filter(numpy.asarray(mask), 2 * blur + 1), "L")
    # A blur of half the width, centred `blur` pixels outside, has reached full opacity at the mask's edge.
    return ImageChops.lighter(mask, grown.filter(ImageFilter.GaussianBlur(blur / 2)))


def reach(blur: int) -> int:
    """Distance in pixels from the mask at which `feather_mask` becomes fully transparent."""
    return math.ceil(2.5 * blur)


def composite(generated: Image.Image, original: Image.Image, mask: Image.Image) -> Image.Image:
    """`generated` inside the mask, `original` bit for bit outside it. All of one size."""
    return Image.composite(generated, original, mask)


def crop_region(mask: Image.Image, padding: int, aspect: float) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) around the mask, padded by `padding` pixels, then expanded towards
    `aspect` (width / height) within the image. Raises `GenerationError` for an empty mask."""
    box = mask.getbbox()
    if box is None:
        raise GenerationError("The mask is empty; paint over what should change.")
    left, top, right, bottom = box
    left, top = max(0, left - padding), max(0, top - padding)
    right, bottom = min(mask.width, right + padding), min(mask.height, bottom + padding)
    width, height = right - left, bottom - top
    if width < height * aspect:
        left, right = _expand_to_aspect(left, right, round(height * aspect), mask.width)
    else:
        top, bottom = _expand_to_aspect(top, bottom, round(width / aspect), mask.height)
    return left, top, right, bottom


def _expand_to_aspect(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    wanted = min(max(wanted, high - low), limit)
    low = min(max(0, low - (wanted - (high - low)) // 2), limit - wanted)
    return low, low + wanted


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """`image` with the masked part filled by a smooth blend of the colours around it."""
    known = ImageOps.invert(mask)
    unmasked = Image.composite(image, Image.new("RGB", image.size), known)
    result = image.copy()
    filled = Image.new("RGB", image.size, _mean(image, known))
    # From wide to narrow: wide blurs reach the middle of the mask, narrow ones add detail near its edge.
    radius = max(image.size) / 2
    while radius >= 2:
        weight = known.filter(ImageFilter.GaussianBlur(radius))
        colours = unmasked.filter(ImageFilter.GaussianBlur(radius))
        filled = _divided(colours, weight, filled)
        radius /= 2
    result.paste(filled, (0, 0), mask)
    return result


def _mean(image: Image.Image, known: Image.Image) -> tuple[int, ...]:
    if known.getbbox() is None:
        return (128, 128, 128)
    return tuple(round(value) for value in ImageStat.Stat(image, known).mean)


def _divided(colours: Image.Image, weight: Image.Image, otherwise: Image.Image) -> Image.Image:
    """colours / weight where the weight is large enough, else `otherwise`."""
    share = numpy.asarray(weight, dtype=numpy.float32)[..., None] / 255
    values = numpy.asarray(colours, dtype=numpy.float32)
    before = numpy.asarray(otherwise, dtype=numpy.float32)
    divided = numpy.where(share > 0.02, values / numpy.maximum(share, 0.02), before)
    return Image.fromarray(divided.clip(0, 255).round().astype(numpy.uint8), "RGB")


def blanked(image: Image.Image, area: Image.Image) -> Image.Image:
    """`image` in mid grey, the VAE's zero, where `area` (L, of the same size) is white."""
    return Image.composite(Image.new("RGB", image.size, (128, 128, 128)), image.convert("RGB"), area)
