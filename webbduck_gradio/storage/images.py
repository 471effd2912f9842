"""Image decoding: allowed formats and sizes, and conversion to 8-bit sRGB.

Pillow's `convert` clips 16-bit grey at 255 instead of scaling it, and drops alpha so that hidden colours
show. All other code therefore decodes images through this module.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from PIL import Image, ImageCms, UnidentifiedImageError

from ..errors import StorageError
from .orientation import TURNS, orientation, upright_size
from .pixel_budget import PixelBudget

__all__ = [
    "BUDGET",
    "WITH_TEXTS",
    "ImageProbe",
    "decoded",
    "decoding",
    "is_transparent",
    "opaque",
    "open_picture",
    "orientation",
    "plain",
    "probe",
    "read",
    "shrunk",
    "strips",
    "upright_size",
]

log = logging.getLogger(__name__)

MAX_PICTURE_PIXELS = 178_956_970
"""Largest image that is opened: Pillow's own limit for errors, twice that for warnings."""
FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow decoders in use. The JPEG decoder also opens MPO, multi-picture files from cameras."""
WITH_GIF = (*FORMATS, "GIF")
"""Formats of the previews that other programs write beside models."""
WITH_TEXTS = (*FORMATS, "AVIF")
"""Formats whose metadata is read."""
BUDGET = PixelBudget(64 * 10**6)
"""Budget of all threads together, in pixels of 4 bytes: the maximum size of one input image."""
COPIES = {"WEBP": 4, "progressive": 2}
"""Measured memory factor of some decoders: libwebp's canvases, libjpeg's coefficients."""
STRIP = 2**20
"""Pixels converted at a time."""
WHITE = (255, 255, 255)
"""Background for transparent parts where an image must be opaque."""

# Blocks of more than 32 MiB are returned to the system when an image is freed. glibc keeps smaller ones per
# thread, which would add up over several threads.
if "PILLOW_BLOCK_SIZE" not in os.environ:
    Image.core.set_block_size(64 * 2**20)
# The warning at half that size is replaced by the refusal in `open_picture`.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Images with damaged EXIF are treated as upright.
warnings.filterwarnings("ignore", message="Corrupt EXIF data", module="PIL")

# Recognised by their first bytes, so that errors can name them without running their decoders.
OTHER_FORMATS = {
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"8BPS": "PSD",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}


@contextmanager
def open_picture(
    path: Path | BinaryIO, name: str, formats: tuple[str, ...] = FORMATS
) -> Iterator[Image.Image]:
    """Open a PNG, JPEG or WebP lazily; only the header is read at first.

    `formats` is `WITH_TEXTS` for reading metadata without decoding, `WITH_GIF` for a preview, otherwise the
    default. `name` is used in messages. Raises `StorageError` if the file is missing, broken, too large or of
    another format, also for errors while the block decodes it.
    """
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise StorageError(_too_large(name))
            yield image
    except FileNotFoundError:
        raise StorageError(f"{name} is no longer there.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise StorageError(_too_large(name)) from None
    except UnidentifiedImageError:
        other = _other_format(path)
        if other:
            raise StorageError(f"{name} is {other}; only PNG, JPEG and WebP can be used.") from None
        raise StorageError(f"{name} is not a readable picture; the file may be damaged.") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, struct.error) as error:
        # Pillow's plug-ins raise any of these on damaged files.
        log.info("could not read %s", path, exc_info=error)
        raise StorageError(f"{name} cannot be read; the file may be damaged.") from error


def _too_large(name: str) -> str:
    return f"{name} has more than {MAX_PICTURE_PIXELS // 10**6} megapixels and is not opened."


def _other_format(path: Path | BinaryIO) -> str | None:
    """The name of an unsupported image format, from its first bytes, or None."""
    try:
        if isinstance(path, Path):
            with path.open("rb") as file:
                head = file.read(16)
        else:
            path.seek(0)
            head = path.read(16)
    except OSError:
        return None
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    return next((name for start, name in OTHER_FORMATS.items() if head.startswith(start)), None)


def plain(image: Image.Image, name: str = "The picture") -> Image.Image:
    """The first frame of an opened file: upright, 8 bits per channel, sRGB.

    Mode RGBA if the file may be transparent, else RGB. 16 bits are scaled by 255 / 65535, as required by the
    PNG specification. Must be called before the image is decoded otherwise; may return the same object.
    Raises `StorageError` if `BUDGET` is exhausted.
    """
    with decoding(image, name):
        return _plain(image)


@contextmanager
def decoding(image: Image.Image, name: str, patience: float | None = None) -> Iterator[None]:
    """Reserve `BUDGET` for decoding an opened image until the end of the block; may be nested.

    Raises `StorageError` if that is not possible within `patience` seconds.
    """
    with BUDGET.taken(_weight(image), name, patience):
        yield


@contextmanager
def decoded(
    path: Path, name: str, *, grey: bool = False, patience: float | None = None
) -> Iterator[tuple[Image.Image, ImageProbe]]:
    """`plain` of a file, and its `ImageProbe` without `transparent`; counts towards `BUDGET` until the end of
    the block. With `grey`, mode L if the file has neither colour nor alpha. Raises `StorageError`."""
    with open_picture(path, name) as image, decoding(image, name, patience):
        header = _header(image)
        yield _plain(image, grey), header


def shrunk(image: Image.Image, side: int, name: str) -> Image.Image:
    """As `plain`, with the longest side at most `side` pixels, and with less memory."""
    width, height = image.size
    weight = _weight(image)
    image.draft("RGB", (side, side))  # JPEG only: decode at a fraction of the size
    if not image.info.get("progressive"):  # progressive decoders hold the full size anyway
        weight = _weight(image)
    with BUDGET.taken(weight, name):
        turn = TURNS.get(orientation(image))
        small = _in_srgb(_eight_bits(image, factor=max(1, max(image.size) // (2 * side))), _profile(image))
    larger = max(width, height) / side
    if larger > 1:
        size = max(1, round(width / larger)), max(1, round(height / larger))
        small = small.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _upright(small, turn)


def opaque(image: Image.Image) -> Image.Image:
    """An image from `plain` composited on white. Mode RGB."""
    if image.mode != "RGBA":
        return image.convert("RGB") if image.mode != "RGB" else image

    def on_white(part: Image.Image) -> Image.Image:
        return Image.alpha_composite(Image.new("RGBA", part.size, (*WHITE, 255)), part).convert("RGB")

    return _by_strips(image, "RGB", on_white)


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of an image from `plain` is not fully opaque."""
    return image.mode == "RGBA" and sum(image.getchannel("A").histogram()[:255]) > 0


@dataclass(frozen=True)
class ImageProbe:
    """Facts about an image file. `size` is upright, in pixels."""

    size: tuple[int, int]
    pictures: int
    """Number of frames of an animation, or of images in an MPO."""
    animated: bool
    deep: bool
    """16 bits per channel."""
    transparent: bool

    def notes(self, name: str) -> list[str]:
        """Sentences about data that is not used; they begin with `name` ("The picture")."""
        sentences = []
        if self.animated:
            sentences.append(f"{name} is animated; its first frame is used.")
        elif self.pictures > 1:
            sentences.append(f"{name}'s file holds {self.pictures} pictures; the first is used.")
        if self.deep:
            sentences.append(f"{name} has 16 bits per channel; 8 of them are used.")
        return sentences


def probe(path: Path, name: str) -> ImageProbe:
    """Probe an image file; decodes it only if it may be transparent. Raises `StorageError`."""
    with open_picture(path, name) as image:
        header = _header(image)
        if not _may_be_transparent(image):
            return header
        with decoding(image, name):
            return replace(header, transparent=is_transparent(_plain(image)))


def read(path: Path, name: str, patience: float | None = None) -> Image.Image:
    """`plain` of a file. Raises `StorageError`, also if `BUDGET` is exhausted for `patience` seconds."""
    with decoded(path, name, patience=patience) as (image, _):
        return image


def strips(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """(top, part) of horizontal strips of about `STRIP` pixels; the height of each but the last is a multiple
    of `multiple`."""
    rows = max(1, STRIP // (image.width * multiple)) * multiple
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


# ---- the steps of `plain`


def _weight(image: Image.Image) -> int:
    kind = "progressive" if image.info.get("progressive") else image.format or ""
    return image.width * image.height * COPIES.get(kind, 1)


def _header(image: Image.Image) -> ImageProbe:
    """Facts from the header, without decoding."""
    pictures = int(getattr(image, "n_frames", 1))
    return ImageProbe(
        upright_size(image),
        pictures,
        animated=pictures > 1 and image.format != "MPO",
        deep="16" in _packing(image),
        transparent=False,
    )


def _plain(image: Image.Image, grey: bool = False) -> Image.Image:
    turn = TURNS.get(orientation(image))
    return _upright(_in_srgb(_eight_bits(image, grey), _profile(image)), turn)


def _upright(pixels: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    pixels = pixels.transpose(turn) if turn is not None else pixels
    pixels.info = {}  # otherwise the old colour profile would be saved with copies
    return pixels


def _by_strips(
    image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image], factor: int = 1
) -> Image.Image:
    """Convert strip by strip to another mode and 1 / `factor` of the size, without a full intermediate
    copy."""
    made = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for top, part in strips(image, factor):
        changed = change(part)
        made.paste(changed.reduce(factor) if factor > 1 else changed, (0, top // factor))
    return made


def _eight_bits(image: Image.Image, grey: bool = False, factor: int = 1) -> Image.Image:
    """Mode RGBA if the file may be transparent, else RGB, CMYK or (with `grey`) L; not yet in sRGB."""
    packed = _packing(image)
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        bright = _brightest(image) if image.mode == "F" else 0.0
        keyed = isinstance(image.info.get("transparency"), int)
        mode = "RGBA" if keyed else "L" if grey else "RGB"
        return _by_strips(image, mode, lambda part: _deep_grey_to_8_bits(part, bright).convert(mode), factor)
    if _may_be_transparent(image):
        if image.mode == "RGBA" and factor == 1:
            return image
        return _by_strips(image, "RGBA", lambda part: _with_alpha(part, packed), factor)
    mode = "CMYK" if image.mode == "CMYK" else "L" if grey and image.mode in ("1", "L") else "RGB"
    if image.mode == mode and factor == 1:
        return image
    return _by_strips(image, mode, lambda part: part.convert(mode), factor)


def _packing(image: Image.Image) -> str:
    """Pillow's raw mode of the file ("RGB;16B", "L;4"); available only before decoding."""
    tiles: Any = getattr(image, "tile", None)
    if not tiles or image.format != "PNG":
        return image.mode
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _may_be_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _brightest(image: Image.Image) -> float:
    return max(float(numpy.nan_to_num(numpy.asarray(part)).max()) for _, part in strips(image))


def _deep_grey_to_8_bits(image: Image.Image, brightest: float) -> Image.Image:
    """Mode L, or LA if one grey value is transparent. `brightest`: maximum of the whole image, for mode F."""
    values = numpy.asarray(image)
    if image.mode == "F":
        values = numpy.nan_to_num(values)
        grey = values.clip(0, 1) * 255 if brightest <= 1 else values.clip(0, 255)
        grey = grey.round()
    else:
        grey = (values.clip(0, 65535).astype(numpy.uint32) * 255 + 32767) // 65535
    shown = Image.fromarray(grey.astype(numpy.uint8), "L")
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return shown
    alpha = Image.fromarray(numpy.where(values == key, 0, 255).astype(numpy.uint8), "L")
    return Image.merge("LA", (shown, alpha))


def _with_alpha(image: Image.Image, packed: str) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode in ("1", "L", "RGB") and key is not None:
        # PNG's transparent colour has the file's bit depth, but the pixels are 8 bits.
        factor = {"L;2": 85, "L;4": 17}.get(packed, 1)
        image = image.convert("L") if image.mode == "1" else image.copy()
        if isinstance(key, tuple):
            image.info["transparency"] = tuple(each >> 8 if "16" in packed else each for each in key)
        elif isinstance(key, int):
            image.info["transparency"] = key >> 8 if "16" in packed else key * factor
    return image.convert("RGBA")


def _profile(image: Image.Image) -> bytes | None:
    """The ICC profile, if the image has colours."""
    coloured = image.mode in ("RGB", "CMYK") or _may_be_transparent(image)
    return image.info.get("icc_profile") if coloured else None


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, RGBA (or L) in sRGB, which models are trained on; files without a profile are assumed to be
    sRGB."""
    if profile and image.mode != "L":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).casefold():
                inks = "CMYK" if image.mode == "CMYK" else "RGB"
                transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), inks, "RGB")
                return _by_strips(
                    image,
                    "RGBA" if image.mode == "RGBA" else "RGB",
                    lambda part: _transformed(part, transform),
                )
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            log.info("a colour profile could not be used: %s", error)
    return _by_strips(image, "RGB", lambda part: part.convert("RGB")) if image.mode == "CMYK" else image


def _transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    if image.mode != "RGBA":
        return ImageCms.applyTransform(image, transform) or image
    coloured = ImageCms.applyTransform(image.convert("RGB"), transform)
    assert coloured is not None  # None only for in-place transforms
    coloured.putalpha(image.getchannel("A"))
    return coloured
