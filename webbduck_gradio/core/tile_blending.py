"""Joins redrawn tiles to one picture, without a seam and with little memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy

from ..request.tiles import Tiles


def blend(canvas: numpy.ndarray, tiles: Tiles, drawn: Callable[[int], numpy.ndarray]) -> None:
    """Replace the canvas (height, width, 3; uint8) by its tiles.

    `drawn`: the pixels of tile `number`, (tiles.height, tiles.width, 3), uint8; called once for each, in
    order. The weight of a tile falls smoothly to 0 towards a border that another one covers; the weights of
    all tiles add up to 1. Only one row of tiles is held in float32, and what lies beyond the bottom of a
    seamless picture.
    """
    width, height = tiles.canvas
    across = weights(tiles.lefts, tiles.width, width, tiles.overlap)
    down = weights(tiles.tops, tiles.height, height, tiles.overlap)
    end = tiles.tops[-1] + tiles.height
    ends = [*tiles.tops[1:], end]
    row = numpy.zeros((tiles.height, width, 3), numpy.float32)
    # The first rows, until the last tiles have been added to them, too.
    first = numpy.zeros((end - height, width, 3), numpy.float32)
    for number in range(tiles.count):
        at, column = divmod(number, len(tiles.lefts))
        left, top, right, _ = tiles.box(number)
        weight = down[at][:, None, None] * across[column][None, :, None]
        row[:, places(left, right, width)] += drawn(number) * weight
        if column == len(tiles.lefts) - 1:
            done = ends[at] - top
            _put(canvas, first, top, row[:done])
            row[: -done or None] = row[done:]
            row[len(row) - done :] = 0
    canvas[: len(first)] = _rounded(first)


def _put(canvas: numpy.ndarray, first: numpy.ndarray, top: int, rows: numpy.ndarray) -> None:
    """Write `rows`, which begin at `top`, to the canvas; add what belongs to its `first` ones to those."""
    at, height = numpy.arange(top, top + len(rows)), len(canvas)
    begun, beyond = at < len(first), at >= height
    first[at[begun]] += rows[begun]
    first[at[beyond] - height] += rows[beyond]
    inside = ~(begun | beyond)
    canvas[at[inside]] = _rounded(rows[inside])


def _rounded(pixels: numpy.ndarray) -> numpy.ndarray:
    return numpy.rint(pixels).clip(0, 255)


def places(begin: int, end: int, length: int) -> numpy.ndarray:
    """Indices of a tile along a side of the canvas; what is beyond it lies at the opposite border."""
    return numpy.arange(begin, end) % length


def weights(starts: Sequence[int], side: int, length: int, overlap: int) -> numpy.ndarray:
    """(tiles, side), float32: the weight of each pixel of each tile along one side of the canvas."""
    distance = numpy.minimum(numpy.arange(side) + 0.5, numpy.arange(side)[::-1] + 0.5)
    share = numpy.minimum(distance / overlap, 1)
    ramp = share * share * (3 - 2 * share)
    total = numpy.zeros(length)
    along = [places(start, start + side, length) for start in starts]
    for each in along:
        total[each] += ramp
    return numpy.stack([ramp / total[each] for each in along]).astype(numpy.float32)
