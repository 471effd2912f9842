"""The studio's log: to the terminal, and to a file that is rotated and thus stays small."""

from __future__ import annotations

import logging
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE = "webbduck.log"
MAX_BYTES, KEPT = 5 * 2**20, 4
"""Size at which a file of the log is closed, and how many closed ones are kept: 25 MiB in all."""

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NOISY = ("httpx", "httpcore", "PIL", "urllib3", "asyncio", "multipart", "python_multipart", "filelock")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class SingleLineFormatter(logging.Formatter):
    """A record's message is one line, whatever a client put into it; a traceback follows on its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record).replace("\n", "\\n")
        return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def to_terminal(verbose: bool) -> None:
    """Log to the standard error; what libraries tell about their own doings only where it matters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SingleLineFormatter(FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def to_file(folder: Path) -> None:
    """Log to `folder`/webbduck.log as well. Where that cannot be written, the terminal has to do."""
    try:
        handler = RotatingFileHandler(
            folder / FILE, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        logging.getLogger(__name__).warning("There is no log file (%s)", error)
        return
    # A full disk must cost the line, not fill the terminal with tracebacks about it.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    handler.setFormatter(SingleLineFormatter(FORMAT))
    logging.getLogger().addHandler(handler)
