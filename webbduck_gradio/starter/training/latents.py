"""From the trained autoencoder to a bank of latents: evening out, preview colours, and encoding ahead.

The UNet learns from latents that were made once. The bank is a folder of small shards, so a training can
begin on the first of them while the others are still being made.
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
from .models import LATENT_SCALE
from .vae import to_tensor

SHARD = 48
"""Pictures to a shard; all of one shard have the same size."""
_BANK_SEED = 4242


@dataclass(frozen=True)
class PreviewColours:
    """A linear guess of the picture from its latent: RGB in -1..1 = latent @ factors + bias."""

    factors: list[list[float]]
    """Four rows, one per latent channel, of red, green and blue."""
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
def even_out(vae: AutoencoderKL, pictures: int = 200) -> None:
    """Give the latents zero mean and uncorrelated channels of unit deviation, without changing any picture.

    Means and deviations of a trained autoencoder are arbitrary; noise of one strength suits none of them.
    The change is linear, so it folds exactly into the 1x1 convolutions beside the latent. The posterior's
    own variance is carried over approximately (as a mean of logarithms): nothing uses it afterwards.
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
    """Least squares from latents to the mean colour of their 8x8 block."""
    latents, colours = _latents_of(vae, seed=12, count=pictures)
    with_one = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    solution = torch.linalg.lstsq(with_one, colours).solution
    rounded = [[round(value, 4) for value in row] for row in solution.tolist()]
    return PreviewColours(factors=rounded[:4], bias=rounded[4])


def freeze_vae(vae: AutoencoderKL, work: Path, pictures: int = 200) -> AutoencoderKL:
    """Even out a trained autoencoder and keep it in `work`/vae with its preview colours."""
    vae = vae.float().eval()
    even_out(vae, pictures)
    vae.register_to_config(scaling_factor=1.0, force_upcast=False)
    vae.save_pretrained(work / "vae")
    fit_preview_colours(vae, pictures // 2).save(work / "preview.json")
    return vae


def load_frozen_vae(work: Path) -> AutoencoderKL:
    """The autoencoder that `freeze_vae` kept."""
    if not (work / "vae").exists():
        raise FileNotFoundError(f"{work / 'vae'} is not there: train the vae and make latents first")
    return AutoencoderKL.from_pretrained(work / "vae", local_files_only=True).float().eval()


def _shard_size(shard: int) -> tuple[int, int]:
    """(width, height) in pixels of the pictures of a shard: two in three are square."""
    return SIZES[0] if shard % 3 else SIZES[1 + (shard // 3) % (len(SIZES) - 1)]


def _shard_pictures(shard: int) -> list[tuple[Attributes, int]]:
    """Attributes and drawing seed of each picture of a shard, the same at every call."""
    rng = random.Random(_BANK_SEED * 1_000_003 + shard)
    return [(sample(rng), rng.randrange(2**31)) for _ in range(SHARD)]


Change = Callable[[np.ndarray, int], np.ndarray]
"""(picture, its drawing seed) -> the picture in another style, or in a worse state."""


@torch.no_grad()
def encode_bank(
    vae: AutoencoderKL, work: Path, shards: int, name: str = "latents", change: Change | None = None
) -> None:
    """Make the shards of the bank `name` that are not there yet, each written whole or not at all.

    Every bank holds the same pictures; with `change`, each of them changed.
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
            # Half precision: its error is a hundredth of the latents' deviation, the time a third.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                posterior = vae.encode(to_tensor(pictures[start : start + 8])).latent_dist
            latents.append(posterior.mode().float())
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, torch.cat(latents).half().numpy())
        os.replace(partial, path)


@dataclass(frozen=True)
class Batch:
    """Latents (count, 4, height / 8, width / 8) with what their pictures show."""

    latents: torch.Tensor
    attributes: list[Attributes]
    seeds: list[int]
    """The drawing seed of each picture."""
    width: int
    height: int


class LatentBank:
    """Batches from the shards found so far; call `refresh` now and then while more are being made."""

    def __init__(self, work: Path, name: str = "latents") -> None:
        self._folder = work / name
        self._shards: dict[int, tuple[torch.Tensor, list[tuple[Attributes, int]]]] = {}
        self._by_size: dict[tuple[int, int], list[int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in new shards."""
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
        """`count` pictures of one size: the native square with `square_share`, else one of the others."""
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
