"""Reads text and EXIF chunks of a PNG, also those after the pixel data, without decoding it.

Pillow has to decode all pixels to reach later chunks, which takes seconds for a large image.
Format: PNG specification, section 11.3.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 4 * 2**20
"""Maximum size of a chunk, and of a decompressed text, in bytes; larger ones are skipped."""
MAX_TOTAL = 16 * 2**20
"""Maximum size of all texts of a file together, in bytes."""
MAX_CHUNKS = 200_000


def texts(path: Path) -> dict[str, str]:
    """Keyword -> text of all tEXt, zTXt and iTXt chunks, up to the first damage.

    Raises `OSError` if the file cannot be read.
    """
    found: dict[str, str] = {}
    remaining = MAX_TOTAL
    for kind, data in chunks(path, {b"tEXt", b"zTXt", b"iTXt"}):
        entry = _entry(kind, data)
        if entry:
            remaining -= len(entry[1])
            if remaining < 0:
                break
            found.setdefault(*entry)
    return found


def exif(path: Path) -> bytes | None:
    """The eXIf chunk, or None. Raises `OSError` if the file cannot be read."""
    return next((data for _, data in chunks(path, {b"eXIf"})), None)


def chunks(path: Path, kinds: Container[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the chunks of these types, in file order; too large ones are skipped."""
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return
        for _ in range(MAX_CHUNKS):
            header = file.read(8)
            if len(header) < 8:
                break
            length, kind = struct.unpack(">I4s", header)
            if kind == b"IEND":
                break
            if kind in kinds and length <= MAX_TEXT:
                data = file.read(length)
                if len(data) == length:
                    yield kind, data
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)


def _entry(kind: bytes, data: bytes) -> tuple[str, str] | None:
    keyword, _, rest = data.partition(b"\0")
    try:
        if kind == b"tEXt":
            return keyword.decode("latin-1"), rest.decode("latin-1")
        if kind == b"zTXt":
            return keyword.decode("latin-1"), _decompress(rest[1:]).decode("latin-1")
        packed, rest = rest[0], rest[2:]
        text = rest.partition(b"\0")[2].partition(b"\0")[2]
        return keyword.decode("latin-1"), (_decompress(text) if packed else text).decode("utf-8")
    except (zlib.error, UnicodeDecodeError, IndexError):
        return None


def _decompress(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, MAX_TEXT)
    if unpacker.unconsumed_tail:
        raise zlib.error("too long")
    return text
