"""In which windows a picture is extended: each is drawn in one pass, from what is there by then."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..storage.masks import CELL

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
LONGEST = 1.5
"""Longest side of a window, in native sizes."""
LARGEST = 1.25
"""Largest area of a window, in squares of the native size."""
NEW = 0.25
"""Most of a window that is new, so that the rest shows the model what to continue."""
ADVANCE = 0.75
"""How far two windows along the same side are apart, of the length of a window."""


def windows(size: tuple[int, int], kept: Box, native: int) -> list[Box]:
    """The windows that together cover everything outside of `kept`, in the order of drawing.

    `size`: of the result, multiples of 8. `kept`: the old picture's place in it. `native`: side of the
    squares that the checkpoint was trained on. Edges of windows lie between latent pixels. One window
    covers all where that is not larger than the checkpoint can draw at once; else the sides are extended in
    turn.
    """
    width, height = size
    added = kept[0], kept[1], width - kept[2], height - kept[3]
    if max(size) <= LONGEST * native and width * height <= LARGEST * native**2 and max(added) <= NEW * native:
        return [(0, 0, width, height)]
    known = [
        *(math.ceil(edge / CELL) * CELL for edge in kept[:2]),
        *(edge // CELL * CELL for edge in kept[2:]),
    ]
    goal = [0, 0, width, height]
    found: list[Box] = []
    while known != goal:
        for side in range(4):
            left = abs(goal[side] - known[side])
            if not left:
                continue
            axis = side % 2
            length = known[3 - axis] - known[1 - axis]
            extent = _extent(length, native)
            depth = known[axis + 2] - known[axis]
            step = min(left, _down(extent * NEW), max(_down(depth), CELL))
            known[side] += step if side > 1 else -step
            across = min(extent, depth + step)
            low = known[side] - across if side > 1 else known[side]
            for at, end in _along(known[1 - axis], known[3 - axis], native):
                found.append((low, at, low + across, end) if axis == 0 else (at, low, end, low + across))
    return found


def _extent(length: int, native: int) -> int:
    """How far a window reaches across a side of this length."""
    along = length if length <= LONGEST * native else native
    return max(2 * CELL, _down(min(native**2 / along, LONGEST * native)))


def _along(low: int, high: int, native: int) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the windows along a side."""
    length = high - low
    if length <= LONGEST * native:
        yield low, high
        return
    count = math.ceil((length - native) / (ADVANCE * native))
    for number in range(count + 1):
        at = low + _down((length - native) * number / count)
        yield at, at + native


def _down(length: float) -> int:
    return int(length) // CELL * CELL
