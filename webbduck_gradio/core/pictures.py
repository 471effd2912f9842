"""Input pictures and masks: read upright, fitted to a size, put back. Pillow only."""

from __future__ import annotations

from pathlib import Path

import numpy
from PIL import Image, ImageFilter, ImageOps, ImageStat

from ..errors import GenerationError

WHITE = (255, 255, 255)


def read(path: Path) -> Image.Image:
    """The picture as people see it: upright by its EXIF, transparency on white, RGB."""
    image = ImageOps.exif_transpose(_opened(path))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*WHITE, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def read_mask(path: Path) -> Image.Image:
    """White where to paint; a transparent mask counts where it is opaque and light. Mode L."""
    image = ImageOps.exif_transpose(_opened(path))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("L").point(lambda value: 255 if value >= 128 else 0)


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
            image.load()
            return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise GenerationError("The input picture cannot be read; choose it again.") from None


def fit(image: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """`image` at exactly `size`: 'crop' cuts what is over, 'pad' fills the sides, 'stretch' distorts."""
    if image.size == size:
        return image
    if mode == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    if mode == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    inside = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    left, top = (size[0] - inside.width) // 2, (size[1] - inside.height) // 2
    # The sides continue the picture's edges, which disturbs a model less than a plain colour.
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


def fit_mask(mask: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """The mask moved as `fit` moves its picture; padded sides are painted, since nothing is there yet."""
    if mode != "pad" or mask.size == size:
        return fit(mask, size, mode).point(lambda value: 255 if value >= 128 else 0)
    inside = ImageOps.contain(mask, size, Image.Resampling.LANCZOS)
    whole = Image.new("L", size, 255)
    whole.paste(inside, ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2))
    return whole.point(lambda value: 255 if value >= 128 else 0)


def soft(mask: Image.Image, blur: int) -> Image.Image:
    """The mask with soft edges of `blur` pixels, for putting back."""
    return mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask


def put_back(drawn: Image.Image, original: Image.Image, mask: Image.Image, blur: int) -> Image.Image:
    """`drawn` where the (blurred) mask is, `original` to the bit where it is not. All of one size."""
    return Image.composite(drawn, original, soft(mask, blur))


def surroundings(mask: Image.Image, padding: int, aspect: float) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) around the mask, with `padding` pixels, widened towards `aspect`."""
    box = mask.getbbox()
    if box is None:
        raise GenerationError("The mask is empty; paint over what should change.")
    left, top, right, bottom = box
    left, top = max(0, left - padding), max(0, top - padding)
    right, bottom = min(mask.width, right + padding), min(mask.height, bottom + padding)
    width, height = right - left, bottom - top
    if width < height * aspect:
        left, right = _widened(left, right, round(height * aspect), mask.width)
    else:
        top, bottom = _widened(top, bottom, round(width / aspect), mask.height)
    return left, top, right, bottom


def _widened(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    wanted = min(max(wanted, high - low), limit)
    low = min(max(0, low - (wanted - (high - low)) // 2), limit - wanted)
    return low, low + wanted


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """`image` with the masked part painted over by what surrounds it, softly."""
    known = ImageOps.invert(mask)
    holed = Image.composite(image, Image.new("RGB", image.size), known)
    result = image.copy()
    filled = Image.new("RGB", image.size, _mean(image, known))
    # From wide to narrow: each blur reaches as far as it knows something, the narrower ones add detail.
    radius = max(image.size) / 2
    while radius >= 2:
        weight = known.filter(ImageFilter.GaussianBlur(radius))
        colours = holed.filter(ImageFilter.GaussianBlur(radius))
        filled = _divided(colours, weight, filled)
        radius /= 2
    result.paste(filled, (0, 0), mask)
    return result


def _mean(image: Image.Image, known: Image.Image) -> tuple[int, ...]:

    if known.getbbox() is None:
        return (128, 128, 128)
    return tuple(round(value) for value in ImageStat.Stat(image, known).mean)


def _divided(colours: Image.Image, weight: Image.Image, otherwise: Image.Image) -> Image.Image:
    """colours / weight where the weight says that something is known, else `otherwise`."""

    share = numpy.asarray(weight, dtype=numpy.float32)[..., None] / 255
    values = numpy.asarray(colours, dtype=numpy.float32)
    before = numpy.asarray(otherwise, dtype=numpy.float32)
    divided = numpy.where(share > 0.02, values / numpy.maximum(share, 0.02), before)
    return Image.fromarray(divided.clip(0, 255).round().astype(numpy.uint8), "RGB")
