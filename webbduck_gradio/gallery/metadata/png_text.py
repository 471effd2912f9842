"""Text and EXIF chunks of a PNG, also those after the pixels, without decoding these.

Pillow reads what comes after the pixels only by decoding them all, which takes seconds for a large picture.
Format: PNG specification, section 11.3.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 4 * 2**20
"""Largest chunk, and largest text once unpacked, in bytes; longer ones are passed over."""
MAX_TOTAL = 16 * 2**20
"""All texts of a file together."""
MAX_CHUNKS = 200_000


def texts(path: Path) -> dict[str, str]:
    """Keyword -> text of all tEXt, zTXt and iTXt chunks; of a damaged file as far as it goes.

    Raises `OSError` where the file cannot be read.
    """
    found: dict[str, str] = {}
    room = MAX_TOTAL
    for kind, data in chunks(path, {b"tEXt", b"zTXt", b"iTXt"}):
        entry = _entry(kind, data)
        if entry:
            room -= len(entry[1])
            if room < 0:
                break
            found.setdefault(*entry)
    return found


def exif(path: Path) -> bytes | None:
    """The eXIf chunk, or None. Raises `OSError` where the file cannot be read."""
    return next((data for _, data in chunks(path, {b"eXIf"})), None)


def chunks(path: Path, kinds: Container[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks of these kinds, in the file's order; too large ones are passed over."""
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
            return keyword.decode("latin-1"), _unpack(rest[1:]).decode("latin-1")
        packed, rest = rest[0], rest[2:]
        text = rest.partition(b"\0")[2].partition(b"\0")[2]
        return keyword.decode("latin-1"), (_unpack(text) if packed else text).decode("utf-8")
    except (zlib.error, UnicodeDecodeError, IndexError):
        return None


def _unpack(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, MAX_TEXT)
    if unpacker.unconsumed_tail:
        raise zlib.error("too long")
    return text
