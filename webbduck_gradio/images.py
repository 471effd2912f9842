"""The one place that decodes pictures: which formats, how large, and how every kind of pixel becomes 8 bits.

Pillow's own `convert` clips 16-bit grey at 255 instead of scaling it, and lays transparency on whatever
colours lie hidden below it. So nothing else in the studio calls it on a picture from outside.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from PIL import Image, ImageCms, UnidentifiedImageError

from .errors import StorageError

log = logging.getLogger(__name__)

MAX_PICTURE_PIXELS = 178_956_970
"""Largest picture that is opened: twice Pillow's own warning level, where Pillow itself refuses."""
FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow's decoders that are used. JPEG's also opens MPO, the files with several JPEGs that cameras write."""
WHITE = (255, 255, 255)
"""What transparent parts are laid on wherever a picture must be opaque."""

# The warning at half that size is replaced by the refusal in `open_picture`.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# A picture whose EXIF is damaged is taken as upright.
warnings.filterwarnings("ignore", message="Corrupt EXIF data", module="PIL")

# Known by their first bytes alone, so that a refusal can name them without running their decoders.
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

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright, by the value of EXIF's Orientation."""
ORIENTATION = 0x0112
BAD_EXIF = (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error)


@contextmanager
def open_picture(path: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a PNG, JPEG or WebP lazily; only the header is read before the block asks for more.

    `name` is how messages call it. Raises `StorageError` where it is gone, broken, too large or of another
    format, also for what goes wrong while the block decodes it.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
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
    """The name of a picture format that is not used here, None where the first bytes tell nothing."""
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


def plain(image: Image.Image) -> Image.Image:
    """The first picture of an opened file as people see it: upright, 8 bits a channel, sRGB.

    Mode RGBA where the file can be transparent, else RGB. 16 bits are scaled (x 255 / 65535), as the PNG
    specification asks. To be called before anything else has decoded the picture.
    """
    packed = _packing(image)
    turn = TURNS.get(orientation(image))
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        pixels = _of_deep_grey(image)
    elif _may_be_transparent(image):
        pixels = _with_alpha(image, packed)
    else:
        pixels = _in_srgb(image)
    pixels = pixels.transpose(turn) if turn is not None else pixels
    pixels.info = {}  # or a profile that no longer applies would be saved with a copy
    return pixels


def opaque(image: Image.Image) -> Image.Image:
    """A picture from `plain` laid on white. Mode RGB."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (*WHITE, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of a picture from `plain` is not fully opaque."""
    return image.mode == "RGBA" and sum(image.getchannel("A").histogram()[:255]) > 0


def orientation(image: Image.Image) -> int:
    """EXIF's Orientation, 1 to 8; 1 (upright) where nothing or nonsense is said."""
    try:
        said = image.getexif().get(ORIENTATION, 1)
    except BAD_EXIF as error:
        log.info("the EXIF of a picture could not be read: %s", error)
        return 1
    return said if said in TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as people see the picture, from its header."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


@dataclass(frozen=True)
class Look:
    """What has to be known of a file before its first picture is used. `size` is upright, in pixels."""

    size: tuple[int, int]
    pictures: int
    """How many the file holds: frames of an animation, or those of a camera's MPO."""
    animated: bool
    deep: bool
    """16 bits a channel."""
    transparent: bool

    def notes(self, name: str) -> list[str]:
        """Sentences about what is not used; `name` begins them ("The picture")."""
        said = []
        if self.animated:
            said.append(f"{name} is animated; its first frame is used.")
        elif self.pictures > 1:
            said.append(f"{name}'s file holds {self.pictures} pictures; the first is used.")
        if self.deep:
            said.append(f"{name} has 16 bits per channel; 8 of them are used.")
        return said


def look(path: Path, name: str) -> Look:
    """Decodes the picture only where it may be transparent. Raises `StorageError`."""
    with open_picture(path, name) as image:
        deep = "16" in _packing(image)
        pictures = int(getattr(image, "n_frames", 1))
        animated = pictures > 1 and image.format != "MPO"
        size = upright_size(image)
        see_through = _may_be_transparent(image) and is_transparent(plain(image))
    return Look(size, pictures, animated, deep, see_through)


def read(path: Path, name: str) -> Image.Image:
    """`plain` of a file. Raises `StorageError`."""
    with open_picture(path, name) as image:
        return plain(image)


def _packing(image: Image.Image) -> str:
    """How the file packs its pixels ("RGB;16B", "L;4"); known only until it is decoded."""
    tiles: Any = getattr(image, "tile", None)
    if not tiles or image.format != "PNG":
        return image.mode
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _may_be_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _of_deep_grey(image: Image.Image) -> Image.Image:
    values = numpy.asarray(image)
    if image.mode == "F":
        values = numpy.nan_to_num(values)
        grey = values.clip(0, 1) * 255 if values.size and values.max() <= 1 else values.clip(0, 255)
        grey = grey.round()
    else:
        grey = (values.clip(0, 65535).astype(numpy.uint32) * 255 + 32767) // 65535
    shown = Image.fromarray(grey.astype(numpy.uint8), "L")
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return shown.convert("RGB")
    alpha = Image.fromarray(numpy.where(values == key, 0, 255).astype(numpy.uint8), "L")
    return Image.merge("LA", (shown, alpha)).convert("RGBA")


def _with_alpha(image: Image.Image, packed: str) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode in ("1", "L", "RGB") and key is not None:
        # PNG gives the one transparent colour at the file's own depth, the pixels come at 8 bits.
        factor = {"L;2": 85, "L;4": 17}.get(packed, 1)
        image = image.convert("L") if image.mode == "1" else image.copy()
        if isinstance(key, tuple):
            image.info["transparency"] = tuple(each >> 8 if "16" in packed else each for each in key)
        elif isinstance(key, int):
            image.info["transparency"] = key >> 8 if "16" in packed else key * factor
    alpha = image.convert("RGBA").getchannel("A")
    image.info.pop("transparency", None)
    coloured = _in_srgb(image.convert("RGBA").convert("RGB") if image.mode != "RGB" else image)
    coloured.putalpha(alpha)
    return coloured


def _in_srgb(image: Image.Image) -> Image.Image:
    """RGB in sRGB: what the models were trained on, and what a file without a profile is taken for."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image if image.mode == "RGB" else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).casefold():
            return image.convert("RGB")
        wanted = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, wanted, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.info("a colour profile could not be used: %s", error)
        converted = None
    return converted if converted is not None else image.convert("RGB")
