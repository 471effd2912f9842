"""Limits concurrent uploads; a stalled upload never blocks the others.

An upload holds a slot while it receives data. If it stalls, it releases the slot and acquires one again when
more data arrives; while others wait, an active upload releases its slot after a short turn, too. Next is the
visitor with the fewest slots. `request_validation.limit_slowness` limits how long an upload may stall.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.formparsers import MultiPartException
from starlette.types import Message, Receive, Scope

from ..errors import RequestError, WebbDuckError

AT_ONCE = 4
SILENT_SECONDS = 1.0
"""A stalled upload releases its slot after this time."""
TURN_SECONDS = 2.0
"""An active upload keeps its slot this long while others wait."""
MAX_FILES = 16
"""Per upload: each keeps a file handle open until the upload is complete."""
BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


class BrokenUploadError(MultiPartException):
    """Aborts an upload so that Gradio removes the files received so far."""


class UploadSlots:
    """A fair semaphore with `AT_ONCE` slots, for use in the server's event loop."""

    def __init__(self, at_once: int = AT_ONCE):
        self._free = at_once
        self._slots_of: Counter[str] = Counter()
        self._waiters: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def has_waiters(self) -> bool:
        """Whether any upload is waiting for a slot."""
        return bool(self._waiters)

    async def acquire(self, visitor: str) -> None:
        """Acquire a slot, waiting if necessary."""
        if self._free and not self._waiters:
            self._free -= 1
            self._slots_of[visitor] += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((visitor, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(visitor)
            else:
                self._waiters.remove((visitor, waiter))
            raise

    def release(self, visitor: str) -> None:
        """Release a slot."""
        self._slots_of[visitor] -= 1
        if self._slots_of[visitor] <= 0:
            del self._slots_of[visitor]
        self._free += 1
        while self._waiters and self._free:
            # On ties, min() returns the first, which has waited longest.
            next_waiter = min(self._waiters, key=lambda each: self._slots_of[each[0]])
            self._waiters.remove(next_waiter)
            self._free -= 1
            self._slots_of[next_waiter[0]] += 1
            next_waiter[1].set_result(None)


class Upload:
    """The `receive` of an upload. `error` is the reason if it was aborted."""

    def __init__(
        self,
        slots: UploadSlots,
        visitor: str,
        receive: Receive,
        check_space: Callable[[], Awaitable[None]],
        scope: Scope,
    ):
        """`check_space` raises a `WebbDuckError` if the disk has no space left for uploads."""
        self.error: WebbDuckError | None = None
        self._slots, self._visitor, self._receive, self._check_space = slots, visitor, receive, check_space
        self._loop = asyncio.get_running_loop()
        self._holds, self._since, self._ended = False, 0.0, False
        self._parts = Parts(scope)

    async def acquire_slot(self) -> None:
        """Acquire a slot. Raises the errors of `check_space`."""
        await self._slots.acquire(self._visitor)
        self._holds, self._since = True, self._loop.time()
        await self._check_space()

    def release_slot(self) -> None:
        """Release the slot, if held."""
        if self._holds:
            self._holds = False
            self._slots.release(self._visitor)

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        stall_timer = self._loop.call_later(SILENT_SECONDS, self.release_slot)
        try:
            message = await self._receive()
            self._parts.count(message.get("body", b""))
            if message["type"] == "http.disconnect":
                raise RequestError("The upload was aborted.")
            self._ended = not message.get("more_body", False)
            if self._holds and self._slots.has_waiters and self._loop.time() - self._since > TURN_SECONDS:
                self.release_slot()
            if not self._holds:
                await self.acquire_slot()
        except WebbDuckError as error:
            self.error = error
            raise BrokenUploadError(str(error)) from None
        finally:
            stall_timer.cancel()
        return message


class Parts:
    """Counts the parts of a multipart body while it is received, by their delimiter lines."""

    def __init__(self, scope: Scope):
        kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
        found = BOUNDARY.search(kind.decode("latin-1"))
        self._delimiter = b"--" + (found[1] or found[2]).encode("latin-1") if found else b""
        self._tail, self._number = b"", 0

    def count(self, data: bytes) -> None:
        """Count delimiters in `data`. Raises `RequestError` for more than `MAX_FILES` parts."""
        if not self._delimiter:
            return
        data = self._tail + data
        self._number += data.count(self._delimiter)
        # Keep a possible partial delimiter for the next call.
        end = data.rfind(self._delimiter)
        rest = data[end + len(self._delimiter) :] if end >= 0 else data
        self._tail = (
            rest[len(rest) - len(self._delimiter) + 1 :] if len(rest) >= len(self._delimiter) else rest
        )
        if self._number > MAX_FILES + 1:
            raise RequestError(f"At most {MAX_FILES} files can be sent in one upload.")
