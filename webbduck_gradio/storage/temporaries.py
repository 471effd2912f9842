"""Names of temporary files, which tell whether their writer still lives."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
import time
import uuid
from pathlib import Path

import psutil

OLD_SECONDS = 3600.0
"""Age from which a temporary file is abandoned, whichever process created it."""
TEMPORARY = re.compile(r"([0-9a-f]{12})-(\d+)-[0-9a-f]{32}\.tmp$")


def temporary_name(prefix: str = "") -> str:
    """A new name for a temporary file of this process; it begins with `prefix`."""
    return f"{prefix}{_machine()}-{os.getpid()}-{uuid.uuid4().hex}.tmp"


def is_abandoned(path: Path, now: float | None = None) -> bool:
    """Whether a temporary file is no longer being written: its process has ended, or it is old.

    Its name contains the process id, which can be checked on the same machine only; otherwise its age
    decides. Raises `OSError`.
    """
    writer = TEMPORARY.search(path.name)
    if writer and writer[1] == _machine() and not psutil.pid_exists(int(writer[2])):
        return True
    return (time.time() if now is None else now) - path.lstat().st_mtime > OLD_SECONDS


@functools.cache
def _machine() -> str:
    """Identifies host and PID namespace, within which process ids are valid."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()} {processes}".encode()).hexdigest()[:12]
