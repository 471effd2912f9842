"""Joins redrawn tiles to one picture, without a seam and with little memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy

from ..request.tiles import Tiles


def blend(canvas: numpy.ndarray, tiles: Tiles, drawn: Callable[[int], numpy.ndarray]) -> None:
    """Replace the canvas (height, width, 3; uint8) by its tiles.

    `drawn`: the pixels of tile `number`, (tiles.height, tiles.width, 3), uint8; called once for each, in
    order. The weight of a tile falls smoothly to 0 towards a border that another one covers; the weights of
    all tiles add up to 1. Only one row of tiles is held in float32.
    """
    width, height = tiles.canvas
    across = weights(tiles.lefts, tiles.width, width, tiles.overlap)
    down = weights(tiles.tops, tiles.height, height, tiles.overlap)
    ends = [*tiles.tops[1:], height]
    row = numpy.zeros((tiles.height, width, 3), numpy.float32)
    for number in range(tiles.count):
        at, column = divmod(number, len(tiles.lefts))
        left, top, right, _ = tiles.box(number)
        weight = down[at][:, None, None] * across[column][None, :, None]
        row[:, left:right] += drawn(number) * weight
        if column == len(tiles.lefts) - 1:
            done = ends[at] - top
            canvas[top : ends[at]] = numpy.rint(row[:done]).clip(0, 255)
            row[: -done or None] = row[done:]
            row[len(row) - done :] = 0


def weights(starts: Sequence[int], side: int, length: int, overlap: int) -> numpy.ndarray:
    """(tiles, side), float32: the weight of each pixel of each tile along one side of the canvas."""
    distance = numpy.minimum(numpy.arange(side) + 0.5, numpy.arange(side)[::-1] + 0.5)
    share = numpy.minimum(distance / overlap, 1)
    ramp = share * share * (3 - 2 * share)
    total = numpy.zeros(length)
    for start in starts:
        total[start : start + side] += ramp
    return numpy.stack([ramp / total[start : start + side] for start in starts]).astype(numpy.float32)
