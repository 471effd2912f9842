"""Texts in the lowest bits of a picture's pixels, as NovelAI and A1111's "stealth pnginfo" write them.

Read column by column from the top left, one bit of alpha for each pixel (or one of red, green and blue
each): a mark of 15 letters, the length of the data in bits (32 bits, most significant first), the data,
which are UTF-8 or gzip of it.

    stealth_pnginfo, stealth_pngcomp    alpha: plain, gzip
    stealth_rgbinfo, stealth_rgbcomp    red, green, blue: plain, gzip
"""

from __future__ import annotations

import json
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from ...storage.images import decoding
from . import png_text

log = logging.getLogger(__name__)

START = b"stealth_"
MARKS = {
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
"""Marks, and whether the data are packed."""
MAX_DATA = 4 * 2**20
"""Longest text, in bytes, packed or not."""
MAX_PIXELS = 40_000_000
"""Larger pictures are not looked through."""
GZIP = 31
"""zlib's `wbits` for gzip."""


def texts(image: Image.Image, path: Path, patience: float | None = None) -> dict[str, str]:
    """The hidden texts by the names of PNG's chunks; {} where there are none. Decodes only pictures with
    the mark.

    Raises what Pillow raises for damaged pictures, and `StorageError` where there was no room for decoding
    within `patience` seconds.
    """
    channels = {"RGBA": 4, "RGB": 3}.get(image.mode)
    if channels is None or image.format not in ("PNG", "WEBP") or image.width * image.height > MAX_PIXELS:
        return {}
    if image.format == "PNG":
        column = _first_column(path, channels)
        if column is not None and not _starts(column, channels):
            return {}
    elif channels == 3:
        return {}  # a WebP without alpha is rarely lossless, and has EXIF for its texts
    with decoding(image, path.name, patience):
        data = _hidden(image)
    return _named(data) if data else {}


def _first_column(path: Path, channels: int) -> np.ndarray | None:
    """The first pixels of the left column, of shape (rows, channels), told from the file's beginning.

    At the left edge PNG's filters need the pixel above alone, so that a few rows suffice. None where the
    picture has to be decoded for it.
    """
    unpacker, rows = zlib.decompressobj(), b""
    wanted = 0
    stride = 0
    try:
        for kind, data in png_text.chunks(path, {b"IHDR", b"IDAT"}):
            if kind == b"IHDR":
                width, height, depth, _, _, _, interlaced = struct.unpack(">IIBBBBB", data[:13])
                stride = 1 + width * channels
                wanted = min(height, 8 * len(START)) * stride
                if depth != 8 or interlaced or height < 8 * len(START):
                    return None
            elif wanted:
                rows += unpacker.decompress(data, wanted - len(rows))
                if len(rows) >= wanted:
                    break
    except (zlib.error, struct.error):
        return None
    if not wanted or len(rows) < wanted:
        return None
    grid = np.frombuffer(rows, np.uint8).reshape(-1, stride)
    column = np.zeros((len(grid), channels), np.uint8)
    above = np.zeros(channels, np.uint8)
    for place, (kind, pixel) in enumerate(zip(grid[:, 0], grid[:, 1 : 1 + channels], strict=True)):
        # Filters: none, sub, up, average, Paeth; left of the edge all is 0.
        above = column[place] = pixel + (above if kind in (2, 4) else above // 2 if kind == 3 else 0)
    return column


def _starts(column: np.ndarray, channels: int) -> bool:
    ways = [column[:, :3].reshape(-1)] + ([column[:, 3]] if channels == 4 else [])
    return any(np.packbits(way & 1).tobytes().startswith(START) for way in ways)


def _hidden(image: Image.Image) -> bytes | None:
    """The data behind a mark, unpacked."""
    wanted = -(-8 * (MAX_DATA + 19) // image.height)
    columns = np.asarray(image.crop((0, 0, min(image.width, wanted), image.height))).transpose(1, 0, 2)
    ways = [columns[..., 3]] if image.mode == "RGBA" else []
    for way in (*ways, columns[..., :3]):
        bits = np.ascontiguousarray(way).reshape(-1)[: 8 * (MAX_DATA + 19)] & 1
        packed = np.packbits(bits).tobytes()
        mark = packed[:15]
        if mark not in MARKS or len(packed) < 19:
            continue
        length = struct.unpack(">I", packed[15:19])[0] // 8
        data = packed[19 : 19 + length]
        if len(data) < length:
            log.info("hidden text of %d bytes is cut off or too long", length)
            return None
        if not MARKS[mark]:
            return data
        try:
            return zlib.decompressobj(GZIP).decompress(data, MAX_DATA)
        except zlib.error as error:
            log.info("hidden text is damaged: %s", error)
            return None
    return None


def _named(data: bytes) -> dict[str, str]:
    """NovelAI hides its text chunks as a table; the others hide A1111's text."""
    text = data.decode("utf-8", "replace").strip("\0")
    if text.lstrip().startswith("{"):
        try:
            chunks = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        if isinstance(chunks, dict) and ("Comment" in chunks or "Software" in chunks):
            return {str(key): value for key, value in chunks.items() if isinstance(value, str)}
    return {"parameters": text}
