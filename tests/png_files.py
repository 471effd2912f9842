"""PNG files of kinds that Pillow does not write."""

from __future__ import annotations

import struct
import zlib

import numpy

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""By PNG's colour types: grey, RGB, grey with alpha, RGBA."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: numpy.ndarray, colour_type: int, depth: int = 16, key: tuple[int, ...] = ()) -> bytes:
    """`values` (height, width, channels) as a PNG of 1 to 16 bits; `key`: the one transparent colour."""
    height, width, channels = values.shape
    assert channels == CHANNELS[colour_type]
    rows = values.reshape(height, width * channels)
    if depth == 16:
        packed = rows.astype(">u2").view(numpy.uint8)
    else:
        shifts = 8 - depth * (1 + numpy.arange(8 // depth))
        groups = rows.reshape(height, -1, 8 // depth)
        packed = (groups << shifts).sum(axis=-1).astype(numpy.uint8)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    middle = transparent + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IEND", b"")
