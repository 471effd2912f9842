"""Denoising of a large picture in overlapping tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.nn import functional

from ...request.tiles import STEP, Tiles
from ..seamless import AXES, Axes
from ..tile_blending import places, weights
from .denoiser import UNetDenoiser
from .samplers.base import Prediction

COARSE = 1.5
"""Standard deviation, in latent pixels, of the blur that separates coarse from fine."""


class TiledDenoiser:
    """A `Denoiser` of the whole picture's latents (1, 4, h, w): at each step all tiles are predicted, and the
    predictions are averaged where they overlap, so that neighbours agree and no seam arises (MultiDiffusion,
    Bar-Tal et al. 2023).

    What is coarse in the prediction is replaced by that of the picture that is redrawn (ILVR, Choi et al.
    2021): each tile is given the prompt of the whole picture and would otherwise show all of it, in colours
    of its own."""

    share = 0.0
    """As `UNetDenoiser.share`."""
    begun_at = 0.0
    """As `UNetDenoiser.begun_at`, which only inpainting needs."""

    def __init__(
        self, denoise: UNetDenoiser, tiles: Tiles, source: torch.Tensor, begin: Callable[[int], None]
    ):
        """`denoise`: that of one tile. `source`: the latents of the picture that is redrawn. `begin(number)`
        is called before each tile."""
        self._denoise, self._tiles, self._begin = denoise, tiles, begin
        self._coarse = coarse(source, AXES[tiles.tiling])
        self.evaluations = denoise.evaluations

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, sigma: float) -> Prediction:
        denoised, unconditional = torch.zeros_like(x), torch.zeros_like(x)
        self._denoise.share = self.share
        for number, part in enumerate(parts(self._tiles, x.device)):
            self._begin(number)
            self._denoise.evaluations = self.evaluations
            predicted = self._denoise(part.of(x), sigma)
            part.add(denoised, predicted.denoised)
            part.add(unconditional, predicted.unconditional)
        self.evaluations += 1
        change = self._coarse - coarse(denoised, AXES[self._tiles.tiling])
        return Prediction(denoised + change, unconditional + change)


def coarse(latents: torch.Tensor, axes: Axes = ()) -> torch.Tensor:
    """Latents (1, c, h, w) without their fine detail. `axes`: those over which they are seamless."""
    reach = math.ceil(3 * COARSE)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=latents.device)
    weight = torch.exp(-(places**2) / (2 * COARSE**2))
    weight = (weight / weight.sum()).expand(latents.shape[1], 1, 1, -1)
    extended = latents
    for axis, sides in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        extended = functional.pad(extended, sides, mode="circular" if axis in axes else "replicate")
    across = functional.conv2d(extended, weight, groups=latents.shape[1])
    return functional.conv2d(across, weight.transpose(2, 3), groups=latents.shape[1])


class Part(NamedTuple):
    """A tile's place in the latents of the whole picture, and its weight there (height, width)."""

    rows: torch.Tensor
    """(height, 1), indices."""
    columns: torch.Tensor
    """(width), indices."""
    weight: torch.Tensor

    def of(self, whole: torch.Tensor) -> torch.Tensor:
        """The tile's latents."""
        return whole[..., self.rows, self.columns]

    def add(self, whole: torch.Tensor, tile: torch.Tensor) -> None:
        """Add the tile's share to the sum of all."""
        whole[..., self.rows, self.columns] += tile * self.weight


def parts(tiles: Tiles, device: torch.device | str = "cpu") -> Iterator[Part]:
    """The tiles in order, in latent pixels. Their weights add up to 1."""
    overlap = tiles.overlap // STEP
    width, height = (side // STEP for side in tiles.canvas)
    across = weights([each // STEP for each in tiles.lefts], tiles.width // STEP, width, overlap)
    down = weights([each // STEP for each in tiles.tops], tiles.height // STEP, height, overlap)
    for number in range(tiles.count):
        row, column = divmod(number, len(tiles.lefts))
        left, top, right, bottom = (each // STEP for each in tiles.box(number))
        rows, columns = places(top, bottom, height)[:, None], places(left, right, width)
        weight = down[row][:, None] * across[column]
        yield Part(*(torch.from_numpy(each).to(device) for each in (rows, columns, weight)))
