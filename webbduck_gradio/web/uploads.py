"""Uploads: a few are taken in at once, and one that stalls never holds the others up.

An upload needs a place while bytes of it come. One that is silent gives its place up and asks for it again
once more comes; while others wait, one that goes on gives it up after a short turn as well. Next is whoever
has the fewest places. How long an upload may be silent in all is told by `bodies.paced`.
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
"""After which an upload's place goes to another."""
TURN_SECONDS = 2.0
"""For which an upload keeps its place while others wait."""
MOST_FILES = 16
"""In one upload: each takes a handle until the last has come."""
BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


class BrokenUploadError(MultiPartException):
    """Ends an upload in the way that makes Gradio remove what had come of it."""


class Places:
    """`AT_ONCE` places, in the server's event loop."""

    def __init__(self, at_once: int = AT_ONCE):
        self._free = at_once
        self._held: Counter[str] = Counter()
        self._line: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for one."""
        return bool(self._line)

    async def take(self, visitor: str) -> None:
        """Wait for a place."""
        if self._free and not self._line:
            self._free -= 1
            self._held[visitor] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append((visitor, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(visitor)
            else:
                self._line.remove((visitor, turn))
            raise

    def give(self, visitor: str) -> None:
        """Give a place back."""
        self._held[visitor] -= 1
        if self._held[visitor] <= 0:
            del self._held[visitor]
        self._free += 1
        while self._line and self._free:
            # min() takes the first of those that are equal: who waits longest.
            after = min(self._line, key=lambda each: self._held[each[0]])
            self._line.remove(after)
            self._free -= 1
            self._held[after[0]] += 1
            after[1].set_result(None)


class Upload:
    """An upload's `receive`. `error` is why it was broken off, if it was."""

    def __init__(
        self,
        places: Places,
        visitor: str,
        receive: Receive,
        room: Callable[[], Awaitable[None]],
        scope: Scope,
    ):
        """`room` raises a `WebbDuckError` where nothing more can be kept."""
        self.error: WebbDuckError | None = None
        self._places, self._visitor, self._receive, self._room = places, visitor, receive, room
        self._loop = asyncio.get_running_loop()
        self._holds, self._since, self._ended = False, 0.0, False
        self._parts = Parts(scope)

    async def begin(self) -> None:
        """Wait for the first turn. Raises what `room` does."""
        await self._places.take(self._visitor)
        self._holds, self._since = True, self._loop.time()
        await self._room()

    def give_way(self) -> None:
        """Let another have the place."""
        if self._holds:
            self._holds = False
            self._places.give(self._visitor)

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        silent = self._loop.call_later(SILENT_SECONDS, self.give_way)
        try:
            message = await self._receive()
            self._parts.count(message.get("body", b""))
            if message["type"] == "http.disconnect":
                raise RequestError("The upload was broken off.")
            self._ended = not message.get("more_body", False)
            if self._holds and self._places.wanted and self._loop.time() - self._since > TURN_SECONDS:
                self.give_way()
            if not self._holds:
                await self.begin()
        except WebbDuckError as error:
            self.error = error
            raise BrokenUploadError(str(error)) from None
        finally:
            silent.cancel()
        return message


class Parts:
    """Counts the parts of a multipart body as it comes, by the line that stands before each."""

    def __init__(self, scope: Scope):
        kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
        found = BOUNDARY.search(kind.decode("latin-1"))
        self._line = b"--" + (found[1] or found[2]).encode("latin-1") if found else b""
        self._tail, self._number = b"", 0

    def count(self, data: bytes) -> None:
        """Raises `RequestError` where there are more than `MOST_FILES` (and the body's last line)."""
        if not self._line:
            return
        data = self._tail + data
        self._number += data.count(self._line)
        # What may be the beginning of the next line is looked at again, a whole line never.
        end = data.rfind(self._line)
        rest = data[end + len(self._line) :] if end >= 0 else data
        self._tail = rest[len(rest) - len(self._line) + 1 :] if len(rest) >= len(self._line) else rest
        if self._number > MOST_FILES + 1:
            raise RequestError(f"At most {MOST_FILES} files can be sent in one upload.")
