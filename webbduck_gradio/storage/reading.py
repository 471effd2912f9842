"""Reading small files that other people and programs write: regular files only, bounded, never a surprise.

A FIFO or a device under the expected name would block or never end, a link may lead to one, and JSON may
hold what no file or database takes. Whatever is wrong becomes an `OSError` or a `ValueError`.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MAX_TEXT = 16 * 2**20
"""Bytes of the largest record that is read."""


def read_regular(path: Path, limit: int = MAX_TEXT) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; links to one are followed.

    Raises `OSError` (`FileNotFoundError` where it is not there) and `ValueError` where it is larger.
    """
    # Without O_NONBLOCK the opening of a FIFO waits for a writer.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(handle, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(handle)
    if len(data) > limit:
        raise ValueError(f"{path.name} is larger than {limit:,} bytes")
    return data


def read_json(path: Path, limit: int = MAX_TEXT) -> Any:
    """The value of a JSON file in UTF-8, with or without a byte order mark.

    Raises `OSError`, and `ValueError` for all that is no JSON, nested too deeply or too large.
    """
    return parse_json(read_regular(path, limit))


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text. Raises `ValueError`, also for nesting that the parser cannot follow."""
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole_text(text: str) -> str:
    """The text with each half of a surrogate pair replaced, which neither UTF-8 nor SQLite takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
