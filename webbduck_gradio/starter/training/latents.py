"""Precomputes latents with the trained VAE: normalisation, preview colours and encoding.

The UNet is trained on these latents. They are stored in small shards, so that training can start while later
shards are still being encoded.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from ..drawing.scenes import SIZES, Attributes, draw, sample
from ..precision import autocast
from .models import LATENT_SCALE
from .vae import to_tensor

SHARD = 48
"""Images per shard; all images of a shard have the same size."""
_BANK_SEED = 4242


@dataclass(frozen=True)
class PreviewColours:
    """A linear approximation of the image from its latent: RGB in -1..1 = latent @ factors + bias."""

    factors: list[list[float]]
    """Four rows (latent channels) of red, green and blue."""
    bias: list[float]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"factors": self.factors, "bias": self.bias}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> PreviewColours:
        return cls(**json.loads(path.read_text()))


@torch.no_grad()
def _latents_of(vae: AutoencoderKL, seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and 8x8 block colours of `count` drawings, as rows: (cells, 4) and (cells, 3)."""
    rng = random.Random(seed)
    latents, colours = [], []
    for _ in range(count):
        picture = to_tensor([draw(sample(rng), rng.randrange(2**31))])
        latent = vae.encode(picture).latent_dist.mode()
        latents.append(latent[0].flatten(1).T)
        colours.append(F.avg_pool2d(picture, LATENT_SCALE)[0].flatten(1).T)
    return torch.cat(latents), torch.cat(colours)


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pictures: int = 200) -> None:
    """Whiten the latents (zero mean, unit variance, uncorrelated channels) without changing decoded images.

    A trained VAE has arbitrary means and variances, but the noise schedule assumes unit variance. The change
    is linear, so it folds exactly into the 1x1 convolutions next to the latent. The posterior's variance is
    converted only approximately (as a mean of logarithms), as it is not used afterwards.
    """
    rows, _ = _latents_of(vae, seed=11, count=pictures)
    mean = rows.mean(0)
    variance, directions = torch.linalg.eigh(torch.cov((rows - mean).T))
    forward = torch.diag(variance.rsqrt()) @ directions.T
    backward = directions @ torch.diag(variance.sqrt())
    inner, outer = vae.quant_conv, vae.post_quant_conv
    weight, bias = inner.weight[:, :, 0, 0].clone(), inner.bias.clone()
    share = directions.T.square()
    inner.weight[:4, :, 0, 0] = forward @ weight[:4]
    inner.bias[:4] = forward @ (bias[:4] - mean)
    inner.weight[4:, :, 0, 0] = share @ weight[4:]
    inner.bias[4:] = share @ bias[4:] - variance.log()
    weight, bias = outer.weight[:, :, 0, 0].clone(), outer.bias.clone()
    outer.weight[:, :, 0, 0] = weight @ backward
    outer.bias[:] = bias + weight @ mean


@torch.no_grad()
def fit_preview_colours(vae: AutoencoderKL, pictures: int = 100) -> PreviewColours:
    """Fit latents to the mean colour of their 8x8 block by least squares."""
    latents, colours = _latents_of(vae, seed=12, count=pictures)
    with_one = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    solution = torch.linalg.lstsq(with_one, colours).solution
    rounded = [[round(value, 4) for value in row] for row in solution.tolist()]
    return PreviewColours(factors=rounded[:4], bias=rounded[4])


def freeze_vae(vae: AutoencoderKL, work: Path, pictures: int = 200) -> AutoencoderKL:
    """Normalise a trained VAE and save it to `work`/vae with its preview colours."""
    vae = vae.float().eval()
    normalise_latents(vae, pictures)
    vae.register_to_config(scaling_factor=1.0, force_upcast=False)
    vae.save_pretrained(work / "vae")
    fit_preview_colours(vae, pictures // 2).save(work / "preview.json")
    return vae


def load_frozen_vae(work: Path) -> AutoencoderKL:
    """The VAE saved by `freeze_vae`."""
    if not (work / "vae").exists():
        raise FileNotFoundError(f"{work / 'vae'} is not there: train the vae and make latents first")
    return AutoencoderKL.from_pretrained(work / "vae", local_files_only=True).float().eval()


def _shard_size(shard: int) -> tuple[int, int]:
    """(width, height) in pixels of a shard's images; two of three shards are square."""
    return SIZES[0] if shard % 3 else SIZES[1 + (shard // 3) % (len(SIZES) - 1)]


def _shard_pictures(shard: int) -> list[tuple[Attributes, int]]:
    """Attributes and drawing seed of each image of a shard; deterministic."""
    rng = random.Random(_BANK_SEED * 1_000_003 + shard)
    return [(sample(rng), rng.randrange(2**31)) for _ in range(SHARD)]


Change = Callable[[np.ndarray, int], np.ndarray]
"""(image, its drawing seed) -> the image in another style, or degraded."""


@torch.no_grad()
def encode_bank(
    vae: AutoencoderKL, work: Path, shards: int, name: str = "latents", change: Change | None = None
) -> None:
    """Encode missing shards of the bank `name`, each written atomically.

    All banks have the same images, with `change` applied to each.
    """
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    vae = vae.to(memory_format=torch.channels_last)
    for shard in range(shards):
        path = folder / f"{shard:04d}.npy"
        if path.exists():
            continue
        width, height = _shard_size(shard)
        shown = _shard_pictures(shard)
        pictures = [draw(attributes, seed, width, height) for attributes, seed in shown]
        if change is not None:
            pictures = [change(picture, seed) for picture, (_, seed) in zip(pictures, shown, strict=True)]
        latents = []
        for start in range(0, SHARD, 8):
            # Half precision: a third of the time, with an error of a hundredth of the standard deviation.
            with autocast():
                posterior = vae.encode(to_tensor(pictures[start : start + 8])).latent_dist
            latents.append(posterior.mode().float())
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, torch.cat(latents).half().numpy())
        os.replace(partial, path)


@dataclass(frozen=True)
class Batch:
    """Latents (count, 4, height / 8, width / 8) with attributes."""

    latents: torch.Tensor
    attributes: list[Attributes]
    seeds: list[int]
    """The drawing seed of each image."""
    width: int
    height: int


class LatentBank:
    """Batches from existing shards; call `refresh` periodically while more are being encoded."""

    def __init__(self, work: Path, name: str = "latents") -> None:
        self._folder = work / name
        self._shards: dict[int, tuple[torch.Tensor, list[tuple[Attributes, int]]]] = {}
        self._by_size: dict[tuple[int, int], list[int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Load new shards."""
        for path in sorted(self._folder.glob("*.npy")):
            shard = int(path.stem)
            if shard in self._shards:
                continue
            latents = torch.from_numpy(np.load(path))
            self._shards[shard] = (latents, _shard_pictures(shard))
            self._by_size.setdefault(_shard_size(shard), []).append(shard)

    def __len__(self) -> int:
        return SHARD * len(self._shards)

    def batch(self, rng: random.Random, count: int, square_share: float = 0.7) -> Batch:
        """`count` latents of one size: square with probability `square_share`, else another size."""
        others = [size for size in self._by_size if size != SIZES[0]]
        square = SIZES[0] in self._by_size and (not others or rng.random() < square_share)
        size = SIZES[0] if square else rng.choice(others)
        rows, attributes, seeds = [], [], []
        for _ in range(count):
            latents, shown = self._shards[rng.choice(self._by_size[size])]
            index = rng.randrange(SHARD)
            rows.append(latents[index])
            attributes.append(shown[index][0])
            seeds.append(shown[index][1])
        return Batch(torch.stack(rows).float(), attributes, seeds, *size)
