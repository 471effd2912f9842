"""Text in the least significant bits of an image, as written by NovelAI and A1111's "stealth pnginfo".

Column by column from the top left, one bit of alpha per pixel (or one each of red, green and blue): a
15-byte signature, the length of the data in bits (32 bits, big-endian), the data, UTF-8 text or gzip of it.

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
SIGNATURES = {
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
"""Signature -> whether the data are compressed."""
MAX_DATA = 4 * 2**20
"""Maximum size of the text in bytes, compressed or not."""
MAX_PIXELS = 40_000_000
"""Larger images are not searched."""
GZIP = 31
"""zlib's `wbits` for gzip."""


def texts(image: Image.Image, path: Path, patience: float | None = None) -> dict[str, str]:
    """The hidden text by PNG chunk name; {} if there is none. Decodes only images with the signature.

    Raises Pillow's errors for damaged images, and `StorageError` if the pixel budget did not allow decoding
    within `patience` seconds.
    """
    channels = {"RGBA": 4, "RGB": 3}.get(image.mode)
    if channels is None or image.format not in ("PNG", "WEBP") or image.width * image.height > MAX_PIXELS:
        return {}
    if image.format == "PNG":
        column = _first_column(path, channels)
        if column is not None and not _has_signature(column, channels):
            return {}
    elif channels == 3:
        return {}  # a WebP without alpha is rarely lossless and has its text in EXIF
    with decoding(image, path.name, patience):
        data = _hidden_data(image)
    return _chunks_of(data) if data else {}


def _first_column(path: Path, channels: int) -> np.ndarray | None:
    """The first pixels of the left column, shape (rows, channels), from the first few rows of the file.

    PNG filters depend only on the pixel above at the left edge. None if the image has to be decoded instead.
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
    for row, (kind, pixel) in enumerate(zip(grid[:, 0], grid[:, 1 : 1 + channels], strict=True)):
        # Filters: none, sub, up, average, Paeth; pixels left of the edge are 0.
        above = column[row] = pixel + (above if kind in (2, 4) else above // 2 if kind == 3 else 0)
    return column


def _has_signature(column: np.ndarray, channels: int) -> bool:
    layouts = [column[:, :3].reshape(-1)] + ([column[:, 3]] if channels == 4 else [])
    return any(np.packbits(layout & 1).tobytes().startswith(START) for layout in layouts)


def _hidden_data(image: Image.Image) -> bytes | None:
    """The data after a signature, decompressed."""
    wanted = -(-8 * (MAX_DATA + 19) // image.height)
    columns = np.asarray(image.crop((0, 0, min(image.width, wanted), image.height))).transpose(1, 0, 2)
    layouts = [columns[..., 3]] if image.mode == "RGBA" else []
    for layout in (*layouts, columns[..., :3]):
        bits = np.ascontiguousarray(layout).reshape(-1)[: 8 * (MAX_DATA + 19)] & 1
        packed = np.packbits(bits).tobytes()
        signature = packed[:15]
        if signature not in SIGNATURES or len(packed) < 19:
            continue
        length = struct.unpack(">I", packed[15:19])[0] // 8
        data = packed[19 : 19 + length]
        if len(data) < length:
            log.info("hidden text of %d bytes is cut off or too long", length)
            return None
        if not SIGNATURES[signature]:
            return data
        try:
            return zlib.decompressobj(GZIP).decompress(data, MAX_DATA)
        except zlib.error as error:
            log.info("hidden text is damaged: %s", error)
            return None
    return None


def _chunks_of(data: bytes) -> dict[str, str]:
    """Text by chunk name: NovelAI hides its chunks as a JSON object, others hide A1111's text."""
    text = data.decode("utf-8", "replace").strip("\0")
    if text.lstrip().startswith("{"):
        try:
            chunks = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        if isinstance(chunks, dict) and ("Comment" in chunks or "Software" in chunks):
            return {str(key): value for key, value in chunks.items() if isinstance(value, str)}
    return {"parameters": text}
