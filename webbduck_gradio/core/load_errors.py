"""Translates errors raised while a model file is loaded."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError, OutOfMemoryError, WebbDuckError
from . import devices

log = logging.getLogger(__name__)


@contextlib.contextmanager
def translated_load_errors(what: str, path: Path, otherwise: str) -> Iterator[None]:
    """Raises `OutOfMemoryError` if memory ran out, `ModelError` if the file cannot be read, and `ModelError`
    with the message `otherwise` for any other error.

    `what`: the model's name as it begins a sentence; `path`: its file or folder.
    """
    try:
        yield
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            devices.log_shortage(f"loading {path}")
            raise OutOfMemoryError(
                f"{what} needs more memory than is available; close other programs, then try again."
            ) from None
        log.exception("Loading %s failed", path)
        reason = unreadable(error, path)
        if reason:
            raise ModelError(
                f"{what} cannot be read ({reason}); check that it still exists and is readable."
            ) from None
        raise ModelError(otherwise) from error


def unreadable(error: BaseException, path: Path) -> str | None:
    """Why a file could not be read; None if the error has another cause.

    Libraries raise OSError for other reasons too, but only the system's have an errno. A full disk concerns
    files being written, not read.
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.ENOSPC, errno.EDQUOT):
        return (error.strerror or type(error).__name__).lower()
    return None if path.exists() else "it no longer exists"
