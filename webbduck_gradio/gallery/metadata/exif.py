"""Text in EXIF, XMP and comments: the counterpart of PNG text chunks in JPEG, WebP and AVIF.

`parameters` is the UserComment (UNICODE, UTF-16BE), where A1111 and Civitai look for it. Our own JSON is
the MakerNote, compressed; if the EXIF data would exceed the 64 KiB of a JPEG segment, it is a comment
segment instead.

The IFDs are not parsed with Pillow because it skips type UTF-8 (129) of Exif 3.0 and decodes ASCII as
Latin-1. Sources: CIPA DC-008 (Exif 3.0) sections 4.6.2 and 4.6.6, PNG specification (third edition) 11.3.3.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from PIL import Image

log = logging.getLogger(__name__)

EXIF_IFD, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
MAKE, MODEL, DESCRIPTION, SOFTWARE, ARTIST, XP_COMMENT = 0x010F, 0x0110, 0x010E, 0x0131, 0x013B, 0x9C9C
MARK = b"webbduck\0"
MAX_SEGMENT = 65_000
MAX_CHUNK = 4 * 2**20
PREFIXES = {
    b"UNICODE": None,
    b"ASCII": None,
    b"": None,
    b"JIS": "iso2022_jp",
    b"UTF-8": "utf-8",
    b"UTF8": "utf-8",
}
"""Character code of a UserComment (upper case, without NULs) -> encoding; None: detect from the bytes."""
BYTES, ASCII, UNDEFINED, UTF_8 = 1, 2, 7, 129
"""EXIF field types whose values are bytes."""
MAX_ENTRIES = 500
MAX_XMP = 2**20
MAX_XMP_TEXTS = 20


def save_options(parameters: str, chunk: str, format: str) -> dict[str, Any]:
    """Options for `Image.save` that write both texts into a JPEG or WebP."""
    packed = MARK + zlib.compress(chunk.encode(), 9)
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + parameters.encode("utf-16-be")
    if format == "JPEG" and len(exif.tobytes()) + len(packed) > MAX_SEGMENT:
        return {"exif": exif, "comment": packed}
    exif.get_ifd(EXIF_IFD)[MAKER_NOTE] = packed
    return {"exif": exif}


def texts(image: Image.Image, raw: bytes | None = None) -> dict[str, str]:
    """Text from EXIF, XMP and comments, by PNG chunk name. Never raises for malformed data.

    `raw` is an EXIF block that Pillow has not found.
    """
    found: dict[str, str] = {}
    tags = _byte_fields(raw or _block(image))
    # ComfyUI and others write "workflow:{...}" and "prompt:{...}" into ASCII fields.
    plain = {tag: _decoded(tags[tag]) for tag in (MAKE, MODEL, DESCRIPTION, SOFTWARE, ARTIST) if tag in tags}
    for text in plain.values():
        name, colon, value = text.partition(":")
        if colon and name.strip().lower() in ("prompt", "workflow"):
            found.setdefault(name.strip().lower(), value.strip())
    comment = _comment(tags.get(USER_COMMENT, b""))
    others = [
        tags.get(XP_COMMENT, b"").decode("utf-16-le", "replace").strip("\0"),
        plain.get(DESCRIPTION, ""),
    ]
    packed = [tags.get(MAKER_NOTE), image.info.get("comment")]
    if isinstance(packed[1], bytes) and not packed[1].startswith(MARK):
        others.append(_decoded(packed[1]))
    others += _xmp(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"))
    for text in (comment, *(other for other in others if _is_settings(other))):
        if text:
            found.setdefault("parameters", text)
    for data in packed:
        if isinstance(data, bytes) and data.startswith(MARK):
            try:
                found["webbduck"] = zlib.decompressobj().decompress(data[len(MARK) :], MAX_CHUNK).decode()
            except (zlib.error, UnicodeDecodeError) as error:
                log.info("our own metadata is damaged: %r", error)
                found["webbduck"] = ""
    return found


def _is_settings(text: str) -> bool:
    return "Steps:" in text or text.lstrip().startswith("{")


def _block(image: Image.Image) -> bytes:
    block = image.info.get("exif")
    if isinstance(block, bytes):
        return block
    for name in ("Raw profile type exif", "Raw profile type APP1"):  # as ImageMagick writes EXIF into PNG
        lines = image.info.get(name)
        if isinstance(lines, str):
            try:
                return bytes.fromhex("".join(lines.split()[2:]))
            except ValueError:
                return b""
    return b""


def _byte_fields(block: bytes) -> dict[int, bytes]:
    """Tag -> value of the byte fields of IFD 0 and the Exif IFD, as far as they are undamaged."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return {}
    found: dict[int, bytes] = {}
    first = struct.unpack_from(order + "I", block, 4)[0]
    exif_ifd = None
    for tag, kind, value in _ifd_fields(block, first, order):
        if tag == EXIF_IFD and isinstance(value, int):
            exif_ifd = value
        elif kind is not None and isinstance(value, bytes):
            found[tag] = value  # Fooocus writes its UserComment to IFD 0
    for tag, _, value in _ifd_fields(block, exif_ifd, order) if exif_ifd is not None else ():
        if isinstance(value, bytes):
            found[tag] = value
    return found


def _ifd_fields(block: bytes, at: int, order: str) -> Iterator[tuple[int, int | None, bytes | int]]:
    """Tag, type and bytes of each byte field of an IFD; for other types the raw number, maybe an offset."""
    try:
        (count,) = struct.unpack_from(order + "H", block, at)
        for offset in range(at + 2, at + 2 + 12 * min(count, MAX_ENTRIES), 12):
            tag, kind, size, value = struct.unpack_from(order + "HHII", block, offset)
            if kind not in (BYTES, ASCII, UNDEFINED, UTF_8):
                yield tag, None, value
            elif size <= 4:
                yield tag, kind, block[offset + 8 : offset + 8 + size]
            elif value + size <= len(block):
                yield tag, kind, block[value : value + size]
    except struct.error as error:
        log.info("EXIF ends too early: %s", error)


def _comment(data: bytes) -> str:
    """Decode a UserComment: an eight-byte character code, missing in some files, then the text."""
    prefix = data[:8].upper().rstrip(b"\0 ")
    if prefix not in PREFIXES or len(data) < 8:
        return _decoded(data)
    encoding = PREFIXES[prefix]
    if encoding is None:
        return _decoded(data[8:], wide=prefix == b"UNICODE")
    return data[8:].decode(encoding, "replace").strip("\0\ufeff")


def _decoded(data: bytes, wide: bool = False) -> str:
    """Decode text, detecting the encoding by byte order mark or by the positions of NULs.

    The standard does not define the byte order of UNICODE: most programs write big-endian, some little-endian
    and some UTF-8. `wide`: assume UTF-16 if nothing else matches.
    """
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").strip("\0\ufeff")
    body = data.rstrip(b"\0")
    high, low = body[0::2].count(0), body[1::2].count(0)
    if high or low:
        orders = ["utf-16-be", "utf-16-le"] if high >= low else ["utf-16-le", "utf-16-be"]
        candidates = [data.decode(order, "replace").strip("\0\ufeff") for order in orders]
        return next((candidate for candidate in candidates if _is_settings(candidate)), candidates[0])
    try:
        return body.decode()
    except UnicodeDecodeError:
        return data.decode("utf-16-be", "replace").strip("\0") if wide else body.decode("latin-1")


def _xmp(packet: object) -> list[str]:
    """Comments and descriptions of an XMP packet; [] if it is not one. Entities are never expanded."""
    data = packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
    if not isinstance(data, bytes) or len(data) > MAX_XMP or b"\0" in data or b"<!DOCTYPE" in data:
        return []
    try:
        root = ElementTree.fromstring(data.strip(b"\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        log.info("XMP could not be read: %s", error)
        return []
    found: list[str] = []
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] in ("UserComment", "parameters", "description"):
                found.append(value)
        if element.tag.rpartition("}")[2] in ("UserComment", "parameters", "description"):
            found.append("".join(element.itertext()).strip())
        if len(found) >= MAX_XMP_TEXTS:
            break
    return found
