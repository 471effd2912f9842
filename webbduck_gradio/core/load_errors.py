"""What goes wrong while a model's file is read, told as what it is."""

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
    """Raises `OutOfMemoryError` where memory ran out, `ModelError` where the file cannot be read, and
    `ModelError` with the sentence `otherwise` for all else.

    `what` names the model at the beginning of a sentence; `path` is its file or folder.
    """
    try:
        yield
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            devices.log_shortage(f"loading {path}")
            raise OutOfMemoryError(
                f"{what} needs more memory than there is; close other programs that use it, then try again."
            ) from None
        log.exception("Loading %s failed", path)
        reason = unreadable(error, path)
        if reason:
            raise ModelError(
                f"{what} cannot be read ({reason}); check that it is still there and readable."
            ) from None
        raise ModelError(otherwise) from error


def unreadable(error: BaseException, path: Path) -> str | None:
    """Why a file could not be read; None where it could and something else went wrong.

    Libraries raise OSError for much else, but only the system's own have a number; those of a full disk are
    about files that are written.
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.ENOSPC, errno.EDQUOT):
        return (error.strerror or type(error).__name__).lower()
    return None if path.exists() else "it is gone"
