"""The garbage collector, where it would go through many objects for nothing."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Do without it while many objects are made that stay, as by the import of a large package, which it
    slows down. The whole process does without; what other threads let go of is collected afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
