"""EXIF orientation from an image's header; Pillow would decode a whole PNG to find its EXIF."""

from __future__ import annotations

import logging
import struct

from PIL import Image

log = logging.getLogger(__name__)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> transposition that makes the image upright."""
ORIENTATION = 0x0112
BAD_EXIF = (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error)
MAX_EXIF = 2**20
"""Maximum size of EXIF data in bytes."""
MAX_CHUNKS = 200_000


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) if missing or invalid. Does not decode the image."""
    try:
        if image.format == "PNG" and "exif" not in image.info:
            trailing = _exif_after_pixels(image)
            if trailing is not None:
                image.info["exif"] = trailing
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except BAD_EXIF as error:
        log.info("the EXIF of a picture could not be read: %s", error)
        return 1
    return value if value in TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of the upright image, from its header."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def _exif_after_pixels(image: Image.Image) -> bytes | None:
    """The eXIf chunk of an opened, not yet decoded PNG, wherever it is, or None."""
    file = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None):
        return None
    position = file.tell()
    try:
        file.seek(8)
        for _ in range(MAX_CHUNKS):
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IEND":
                return None
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf" and length <= MAX_EXIF:
                data: bytes = file.read(length)
                return data
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(position)
