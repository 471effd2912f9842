"""How many pixels are decoded at a time, by all threads together.

A picture that is allowed takes up to a gibibyte while it is decoded. Requests, thumbnails and the index each
decode in threads of their own, and without a common bound that adds up.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StorageError

PATIENCE = 60.0
"""How long one waits for its turn, in seconds."""
LONG_PATIENCE = 600.0
"""The same where nobody sits before it, as in the jobs and the index."""


class PixelBudget:
    """Lets threads decode as long as their pictures have at most `pixels` together; the others wait in line.

    A larger picture is decoded alone. What a thread takes while it already holds some counts, but does not
    wait: it might wait for itself. All methods may be called from any thread.
    """

    def __init__(self, pixels: int, patience: float = PATIENCE):
        self._pixels = pixels
        self._patience = patience
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._held: Counter[int] = Counter()
        self._most = 0

    @property
    def in_use(self) -> int:
        """Pixels at work now."""
        with self._changed:
            return self._held.total()

    @property
    def most(self) -> int:
        """The most pixels that were at work at once."""
        return self._most

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._line)

    @contextmanager
    def taken(self, pixels: int, name: str, patience: float | None = None) -> Iterator[None]:
        """Hold room for `pixels` to the end of the block; `name` is how a message calls the picture.

        Raises `StorageError` where there was no room within `patience` seconds.
        """
        me = threading.get_ident()
        self._take(me, pixels, name, self._patience if patience is None else patience)
        try:
            yield
        finally:
            with self._changed:
                self._held[me] -= pixels
                if not self._held[me]:
                    del self._held[me]
                self._changed.notify_all()

    def _take(self, me: int, pixels: int, name: str, patience: float) -> None:
        with self._changed:
            if me not in self._held:
                self._wait(pixels, name, patience)
            self._held[me] += pixels
            self._most = max(self._most, self._held.total())

    def _wait(self, pixels: int, name: str, patience: float) -> None:
        """In order of arrival: small pictures that keep coming would else hold up a large one for ever."""
        ticket = object()

        def is_my_turn() -> bool:
            used = self._held.total()
            return self._line[0] is ticket and (not used or used + pixels <= self._pixels)

        self._line.append(ticket)
        try:
            if not self._changed.wait_for(is_my_turn, patience):
                raise StorageError(
                    f"{name} could not be read now: other large pictures were being read for "
                    f"{patience:.0f} seconds; try again in a moment."
                )
        finally:
            self._line.remove(ticket)
            self._changed.notify_all()
