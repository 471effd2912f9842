"""Safe reading of small files written by users and other programs: regular files only, of limited size.

A FIFO or device, even behind a link, could block or never end. All errors are `OSError` or `ValueError`.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MAX_TEXT = 16 * 2**20
"""Default size limit in bytes."""


def read_regular(path: Path, limit: int = MAX_TEXT) -> bytes:
    """Read a regular file of at most `limit` bytes; links are followed.

    Raises `OSError` (`FileNotFoundError` if missing), and `ValueError` if it is larger.
    """
    # Without O_NONBLOCK, opening a FIFO would block until there is a writer.
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
    """Read a JSON file in UTF-8, with or without byte order mark.

    Raises `OSError`, and `ValueError` for invalid JSON, or a file that is nested too deeply or too large.
    """
    return parse_json(read_regular(path, limit))


def parse_json(data: bytes | str) -> Any:
    """Parse JSON. Raises `ValueError`, also for excessive nesting."""
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole_text(text: str) -> str:
    """The text with lone surrogates replaced, which neither UTF-8 nor SQLite accepts."""
    return text.encode("utf-8", "replace").decode("utf-8")


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file or folder that is under this path now; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
