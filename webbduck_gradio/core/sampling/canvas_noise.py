"""Noise of a part of a large canvas: it depends on the place on the canvas, not on the part that is drawn, so
that overlapping tiles begin from the same noise, in whatever order they are drawn.

The canvas is divided into blocks, each with a seed of its own, which is derived from the image's seed and the
block's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from .noise import ImageNoise, JoinedNoise, Seeds, Shape, image_noise

BLOCK = 64
"""Side of a block, in latent pixels."""


class Window(NamedTuple):
    """Where a tile begins on its canvas, in latent pixels."""

    top: int
    left: int


def canvas_noise(seeds: Seeds, shape: Shape, window: Window) -> torch.Tensor:
    """As `noise.image_noise`, for the window of `shape` on a canvas of any size."""
    parts = [image_noise(each, _block_shape(shape)) for each in _block_seeds(seeds, shape, window)]
    return _assembled(parts, shape, window)


class CanvasNoise(JoinedNoise):
    """The noise of the steps in a window."""

    def __init__(
        self, seeds: Seeds, shape: Shape, window: Window, make: Callable[[Seeds, Shape], ImageNoise]
    ) -> None:
        """`make`: the noise of one block."""
        block = _block_shape(shape)
        super().__init__([make(each, block) for each in _block_seeds(seeds, shape, window)])
        self._shape, self._window = shape, window

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        """`x`: the window's latents, with or without a batch dimension."""
        like = torch.empty(_block_shape(self._shape))
        parts = [noise(like, sigma, following) for noise in self._sources]
        return _assembled(parts, self._shape, self._window).reshape(x.shape).to(x)


def _block_shape(shape: Shape) -> Shape:
    return shape[0], BLOCK, BLOCK


def _blocks(start: int, length: int) -> range:
    """Numbers of the blocks that a span of the canvas touches."""
    return range(start // BLOCK, (start + length - 1) // BLOCK + 1)


def _block_seeds(seeds: Seeds, shape: Shape, window: Window) -> Iterator[Seeds]:
    """Row by row."""
    for row in _blocks(window.top, shape[1]):
        for column in _blocks(window.left, shape[2]):
            yield replace(
                seeds,
                seed=_mixed(seeds.seed, row, column),
                variation_seed=_mixed(seeds.variation_seed, row, column),
                resized_from=None,
            )


def _mixed(seed: int, row: int, column: int) -> int:
    """A seed of 62 bits; ENSD is added to it later."""
    digest = hashlib.sha256(f"{seed} {row} {column}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 2


def _assembled(parts: Sequence[torch.Tensor], shape: Shape, window: Window) -> torch.Tensor:
    columns = len(_blocks(window.left, shape[2]))
    rows = [torch.cat(list(parts[at : at + columns]), 2) for at in range(0, len(parts), columns)]
    top, left = window.top % BLOCK, window.left % BLOCK
    return torch.cat(rows, 1)[:, top : top + shape[1], left : left + shape[2]].contiguous()
