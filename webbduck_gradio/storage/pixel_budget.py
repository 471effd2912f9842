"""Limits the number of pixels decoded at a time by all threads together.

The largest allowed image takes up to 1 GiB while it is decoded. Requests, thumbnails and the index decode in
separate threads, which would add up without a common limit.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StorageError

PATIENCE = 60.0
"""Maximum wait in seconds."""
LONG_PATIENCE = 600.0
"""Maximum wait in seconds for background work, such as jobs and the index."""


class PixelBudget:
    """A fair semaphore: threads may decode while their images have at most `pixels` in total.

    A larger image is decoded alone. A nested request by the same thread counts but does not wait, which could
    deadlock. Thread-safe.
    """

    def __init__(self, pixels: int, patience: float = PATIENCE):
        self._pixels = pixels
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._held: Counter[int] = Counter()
        self._most = 0

    @property
    def in_use(self) -> int:
        """Pixels currently in use."""
        with self._changed:
            return self._held.total()

    @property
    def most(self) -> int:
        """Maximum number of pixels ever in use at once."""
        return self._most

    @property
    def waiting(self) -> int:
        """Number of waiting threads."""
        return len(self._waiting)

    @contextmanager
    def taken(self, pixels: int, name: str, patience: float | None = None) -> Iterator[None]:
        """Reserve `pixels` for the duration of the block; `name` is the image's name in messages.

        Raises `StorageError` if that is not possible within `patience` seconds.
        """
        thread_id = threading.get_ident()
        self._acquire(thread_id, pixels, name, self._patience if patience is None else patience)
        try:
            yield
        finally:
            with self._changed:
                self._held[thread_id] -= pixels
                if not self._held[thread_id]:
                    del self._held[thread_id]
                self._changed.notify_all()

    def _acquire(self, thread_id: int, pixels: int, name: str, patience: float) -> None:
        with self._changed:
            if thread_id not in self._held:
                self._wait(pixels, name, patience)
            self._held[thread_id] += pixels
            self._most = max(self._most, self._held.total())

    def _wait(self, pixels: int, name: str, patience: float) -> None:
        """Wait in FIFO order: otherwise a stream of small images could block a large one forever."""
        ticket = object()

        def is_my_turn() -> bool:
            used = self._held.total()
            return self._waiting[0] is ticket and (not used or used + pixels <= self._pixels)

        self._waiting.append(ticket)
        try:
            if not self._changed.wait_for(is_my_turn, patience):
                raise StorageError(
                    f"{name} could not be read now: other large pictures were being read for "
                    f"{patience:.0f} seconds; try again in a moment."
                )
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()
