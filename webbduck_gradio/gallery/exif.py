"""The same texts in JPEG and WebP, which have no text chunks: in EXIF, where A1111 and Civitai look for them.

`parameters` is the UserComment (UNICODE, UTF-16BE). Our own JSON is the MakerNote, compressed; a JPEG whose
EXIF would pass the 64 KiB of its segment has it as a comment segment instead.
"""

from __future__ import annotations

import logging
import zlib
from typing import Any

from PIL import Image

log = logging.getLogger(__name__)

EXIF_IFD, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
MAKE, MODEL, DESCRIPTION = 0x010F, 0x0110, 0x010E
MARK = b"webbduck\0"
MAX_SEGMENT = 65_000
MAX_CHUNK = 4 * 2**20
PREFIXES = {b"UNICODE\0": "utf-16", b"ASCII\0\0\0": "utf-8", b"\0" * 8: "utf-8"}


def save_options(parameters: str, chunk: str, format: str) -> dict[str, Any]:
    """What `Image.save` needs to write both texts into a JPEG or WebP."""
    packed = MARK + zlib.compress(chunk.encode(), 9)
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + parameters.encode("utf-16-be")
    if format == "JPEG" and len(exif.tobytes()) + len(packed) > MAX_SEGMENT:
        return {"exif": exif, "comment": packed}
    exif.get_ifd(EXIF_IFD)[MAKER_NOTE] = packed
    return {"exif": exif}


def texts(image: Image.Image) -> dict[str, str]:
    """All that a JPEG or WebP tells, by the names of PNG's chunks. Never raises for odd EXIF."""
    found: dict[str, str] = {}
    try:
        exif = image.getexif()
        tags = {**dict(exif), **exif.get_ifd(EXIF_IFD)}  # Fooocus writes beside, not into, the inner table
    except (ValueError, SyntaxError, KeyError, TypeError, OSError) as error:
        log.info("EXIF could not be read: %r", error)
        tags = {}
    comment = _decode(tags.get(USER_COMMENT))
    if comment:
        found["parameters"] = comment
    for tag in (MAKE, MODEL, DESCRIPTION):  # ComfyUI's WebP: "workflow:{...}", "prompt:{...}"
        name, colon, value = str(tags.get(tag, "")).partition(":")
        if colon and name.lower() in ("prompt", "workflow"):
            found[name.lower()] = value.rstrip("\0")
    for packed in (tags.get(MAKER_NOTE), image.info.get("comment")):
        if isinstance(packed, bytes) and packed.startswith(MARK):
            try:
                found["webbduck"] = zlib.decompressobj().decompress(packed[len(MARK) :], MAX_CHUNK).decode()
            except (zlib.error, UnicodeDecodeError) as error:
                log.info("our own metadata is damaged: %r", error)
                found["webbduck"] = ""
    return found


def _decode(comment: object) -> str | None:
    if isinstance(comment, str):
        return comment.rstrip("\0") or None
    if not isinstance(comment, bytes):
        return None
    encoding = PREFIXES.get(comment[:8])
    body = comment[8:] if encoding else comment
    if encoding == "utf-16":
        # The standard leaves the order of the bytes open: most write big-endian, some little-endian.
        other = body.decode("utf-16-le", "replace")
        encoding = "utf-16-le" if "Steps:" in other or other.lstrip().startswith("{") else "utf-16-be"
    return body.decode(encoding or "utf-8", "replace").rstrip("\0") or None
