"""Makes the choices of a prompt: from a seed, or one combination after the other."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Protocol

from ...request.wildcard_fields import MAX_COMBINATIONS


class Chooser(Protocol):
    def begin(self, source: str, number: int) -> None:
        """The next choices are those of this construct. `number`: of equal ones before it."""

    def choose(self, cumulative: Sequence[float]) -> int:
        """An index, by the sums of the weights up to and with each, of which the last is above 0."""


class RandomChooser:
    """Numbers from 0 to 1 by SHA-256 of a key and a counter."""

    def __init__(self, seed: int, stream: str):
        self._seed, self._stream = seed, stream
        self.begin("", 0)

    def begin(self, source: str, number: int) -> None:
        self._key = f"{self._seed}\0{self._stream}\0{number}\0{source}".encode("utf-8", "surrogatepass")
        self._count = 0

    def choose(self, cumulative: Sequence[float]) -> int:
        digest = hashlib.sha256(self._key + b"\0%d" % self._count).digest()
        self._count += 1
        # 53 bits, as many as a double holds.
        at = (int.from_bytes(digest[:8], "big") >> 11) / 2**53 * cumulative[-1]
        return min(bisect_right(cumulative, at), bisect_left(cumulative, cumulative[-1]))


class TooManyError(Exception):
    """There are more than `MAX_COMBINATIONS`."""


class Combination:
    """Goes through all choices like an odometer, the last construct fastest."""

    def __init__(self) -> None:
        self._path: list[int] = []
        self._sizes: list[int] = []
        self._at = 0

    def begin(self, source: str, number: int) -> None:
        """All constructs are parts of one combination."""

    def choose(self, cumulative: Sequence[float]) -> int:
        if len(cumulative) > MAX_COMBINATIONS:
            raise TooManyError
        before = (0.0, *cumulative)
        usable = [index for index, sum in enumerate(cumulative) if sum > before[index]]
        if self._at == len(self._path):
            self._path.append(0)
            self._sizes.append(len(usable))
        self._at += 1
        return usable[self._path[self._at - 1]]

    def advance(self) -> bool:
        """Go to the next combination; False after the last one."""
        self._at = 0
        while self._path and self._path[-1] + 1 >= self._sizes[-1]:
            del self._path[-1], self._sizes[-1]
        if not self._path:
            return False
        self._path[-1] += 1
        return True


class Numbered(Combination):
    """The combination of this number."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number
