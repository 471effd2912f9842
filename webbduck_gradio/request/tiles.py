"""How a large picture is divided into overlapping tiles of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Tiling = Literal["none", "x", "y", "both"]
"""Over which borders a picture is seamless: left and right, top and bottom."""
STEP = 8
"""Tiles begin at multiples of this many pixels: a latent pixel covers as many."""
LEAST = 64
"""Smallest side of a tile; a smaller picture is extended to it."""


@dataclass(frozen=True)
class Tiles:
    """Tiles of `width` x `height` pixels whose top left corners are at all pairs of `tops` and `lefts`, over
    a canvas of `canvas` (width, height), which they cover. Neighbours overlap by at least `overlap`, unless
    one tile covers the side. Where the picture is seamless, the last tile goes on at the opposite border."""

    canvas: tuple[int, int]
    width: int
    height: int
    overlap: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    tiling: Tiling = "none"

    @classmethod
    def over(cls, size: tuple[int, int], side: int, overlap: int, tiling: Tiling = "none") -> Tiles:
        """Over a picture of `size`, which the canvas extends at the right and bottom to multiples of `STEP`.
        `side`: of a tile, at most; `overlap`: at most half of it. Both are multiples of `STEP`. `tiling`: one
        that `possible_tiling` allows."""
        width, height = (max(LEAST, math.ceil(length / STEP) * STEP) for length in size)
        return cls(
            (width, height),
            min(side, width),
            min(side, height),
            overlap,
            tuple(_starts(width, side, overlap, tiling in ("x", "both"))),
            tuple(_starts(height, side, overlap, tiling in ("y", "both"))),
            tiling,
        )

    @property
    def tiling_of_one(self) -> Tiling:
        """Over which borders a tile continues at its own opposite one: where it covers the side."""
        return _both(
            self.tiling in ("x", "both") and self.width == self.canvas[0],
            self.tiling in ("y", "both") and self.height == self.canvas[1],
        )

    @property
    def count(self) -> int:
        return len(self.lefts) * len(self.tops)

    def box(self, number: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of tile `number`, row by row from 0. What is beyond the canvas lies at
        the opposite border."""
        row, column = divmod(number, len(self.lefts))
        left, top = self.lefts[column], self.tops[row]
        return left, top, left + self.width, top + self.height


def possible_tiling(size: tuple[int, int], tiling: Tiling) -> Tiling:
    """As much of `tiling` as tiles can keep of a picture of `size`: the canvas must end where it does."""
    x, y = (length >= LEAST and length % STEP == 0 for length in size)
    return _both(tiling in ("x", "both") and x, tiling in ("y", "both") and y)


def _both(x: bool, y: bool) -> Tiling:
    return "both" if x and y else "x" if x else "y" if y else "none"


def _starts(length: int, side: int, overlap: int, seamless: bool) -> Iterator[int]:
    """Starts of the fewest tiles that cover `length`, evenly spaced."""
    if length <= side:
        yield 0
        return
    step = (side - overlap) // STEP
    if seamless:
        count = math.ceil(length // STEP / step)
        yield from (number * (length // STEP) // count * STEP for number in range(count))
        return
    rest = (length - side) // STEP
    last = math.ceil(rest / step)
    for number in range(last + 1):
        yield number * rest // last * STEP
