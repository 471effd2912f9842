"""What bounds the child process while it reads a file that a stranger may have made.

torch's weights-only reader calls nothing but its own list of harmless functions. These bounds are for a fault
in it: they refuse in Python all that reads or writes anything else, starts anything or connects to anything,
and let the system refuse too much memory, time and disk. They do not hold native code that a fault in torch's
C++ may run; on Linux a network namespace of its own, where it can be had, keeps that off the network too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from typing import Any

FREE_MEMORY = 2**29
"""Bytes beyond what the file's size explains."""
FREE_DISK = 2**20
CPU_SECONDS = 60
CPU_BYTES_PER_SECOND = 20_000_000
"""The slowest computer that has its time for a file: two passes of a checksum and one of copying."""

_CLONE_NEWUSER, _CLONE_NEWNET, _PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 1, 38
_SIGKILL = 9

forbidden: list[str] = []
"""Audit events that were refused since the process was sealed."""

_HARMLESS = frozenset(
    {
        "array.__new__",
        "builtins.id",
        "gc.get_objects",
        "gc.get_referents",
        "gc.get_referrers",
        "mmap.__new__",
        "object.__getattr__",
        "object.__setattr__",
        "sys._getframe",
        "sys.excepthook",
        "sys.unraisablehook",
        "time.sleep",
    }
)


def detach(parent: int) -> None:
    """Linux: end with the parent, gain no rights, have no network."""
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # where the system allows it to anybody


def most_written(size: int) -> int:
    """Bytes that may be written for a file of `size` bytes: weights that share memory are written twice."""
    return 2 * size + FREE_DISK


def bound(size: int, cpu_seconds: float | None = None) -> None:
    """Limits for reading a file of `size` bytes, which hold for good. Windows has none; there the parent
    watches."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = (CPU_SECONDS + size / CPU_BYTES_PER_SECOND) if cpu_seconds is None else cpu_seconds
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: most_written(size) + 2**27,  # and the header
        resource.RLIMIT_NPROC: 0,  # nor threads
        resource.RLIMIT_CPU: int(usage.ru_utime + usage.ru_stime + seconds) + 1,
    }
    if sys.platform == "linux":  # macOS takes this limit and does not keep it
        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        # The mapped file, what an old format reads into memory, and a copy.
        limits[resource.RLIMIT_AS] = mapped + 2 * size + FREE_MEMORY
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def seal(readable: Collection[str]) -> None:
    """Refuse, for good, every audited action but computing and reading the files `readable`.

    Python raises an event before each of them (PEP 578), also for C code of the standard library. Nothing can
    remove the hook.
    """
    allowed = frozenset(readable)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _HARMLESS or event.startswith("cpython."):
            return
        if event == "open":
            path, _, flags = arguments
            if path in allowed and not (isinstance(flags, int) and flags & writing):
                return
        forbidden.append(event if event != "import" else f"import {str(arguments[0])[:100]}")
        raise PermissionError(f"{event} is not allowed while a file is converted")

    sys.addaudithook(hook)
