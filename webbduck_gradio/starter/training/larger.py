"""Trains the bundled UNet further on pictures larger than its native size, so that hires fix, img2img and
redrawing in tiles have a model that knows them.

Three kinds of batches: whole scenes at larger sizes; parts of such scenes with little noise, as redrawing in
tiles gives them to the UNet; and the native sizes, so that they are not forgotten. The text encoders stay as
they are, so LoRAs and prompts mean what they meant.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

from ..drawing.scenes import SIZES, Attributes, draw, sample
from ..precision import autocast
from .loop import AveragedWeights, Training, TrainingClock, load_state
from .models import LATENT_SCALE, time_ids, tokenize
from .unet import caption_batch, noise_loss, signal_to_noise, spread_timesteps
from .vae import to_tensor

STATE = "larger.pt"
LARGER: tuple[tuple[int, int], ...] = ((512, 512), (384, 384), (512, 384), (384, 512), (448, 448))
"""(width, height) in pixels of the larger scenes; the first two are drawn more often."""
_SHARES = (5, 4, 1, 1, 1)
PICTURES = 24
"""Pictures in a shard."""
CELLS = 16 * 32 * 32
"""Latent pixels in a batch: 16 pictures of the native size, 4 of twice that."""
PART_STEPS = 450
"""Parts of scenes are trained in the last timesteps only: there a picture's layout is settled, so that a
part is not taken for a way to draw a whole scene."""
_KINDS = ("whole", "part", "native")
_KIND_SHARES = (0.55, 0.15, 0.30)
_SEED = 60601


class Shard(NamedTuple):
    """Latents (PICTURES, 4, h, w) of one size, with what they show."""

    latents: torch.Tensor
    attributes: list[Attributes]
    width: int
    height: int


def shard_size(number: int) -> tuple[int, int]:
    """(width, height) of a shard's pictures: every fourth is of a native size."""
    rng = random.Random(_SEED + number)
    if number % 4 == 3:
        return rng.choices(SIZES, (6, 1, 1, 1, 1))[0]
    return rng.choices(LARGER, _SHARES)[0]


def _pictures(number: int) -> list[tuple[Attributes, int]]:
    rng = random.Random(_SEED * 1_000_003 + number)
    return [(sample(rng), rng.randrange(2**31)) for _ in range(PICTURES)]


@torch.no_grad()
def encode_shard(vae: AutoencoderKL, folder: Path, number: int) -> None:
    """Draw and encode one shard, unless it is there; written atomically."""
    path = folder / f"{number:04d}.npy"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    width, height = shard_size(number)
    shown = _pictures(number)
    latents = []
    for start in range(0, PICTURES, 4):
        pictures = [draw(attributes, seed, width, height) for attributes, seed in shown[start : start + 4]]
        with autocast():
            posterior = vae.encode(to_tensor(pictures)).latent_dist
        latents.append(posterior.mode().float())
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, torch.cat(latents).half().numpy())
    os.replace(partial, path)


class Bank:
    """The shards in a folder; one more is drawn at each `grow` until there are `limit`."""

    def __init__(self, vae: AutoencoderKL, folder: Path, limit: int) -> None:
        self._vae, self._folder, self._limit = vae, folder, limit
        self._shards: list[Shard] = []
        while (folder / f"{len(self._shards):04d}.npy").exists():
            self._load()

    def _load(self) -> None:
        number = len(self._shards)
        latents = torch.from_numpy(np.load(self._folder / f"{number:04d}.npy"))
        self._shards.append(Shard(latents, [shown for shown, _ in _pictures(number)], *shard_size(number)))

    def __len__(self) -> int:
        return len(self._shards)

    def grow(self) -> None:
        """Draw and encode one shard more."""
        if len(self) < self._limit:
            encode_shard(self._vae, self._folder, len(self))
            self._load()

    def batch(self, rng: random.Random, native: bool) -> tuple[torch.Tensor, list[Attributes], int, int]:
        """Latents of one size, with what they show, their width and height in pixels."""
        sizes = sorted({(each.width, each.height) for each in self._shards if _is_native(each) == native})
        weights = [1 + 4 * (size[0] == size[1]) for size in sizes]
        width, height = rng.choices(sizes, weights)[0]
        shards = [each for each in self._shards if (each.width, each.height) == (width, height)]
        rows, shown = [], []
        for _ in range(max(1, CELLS * LATENT_SCALE**2 // (width * height))):
            shard, place = rng.choice(shards), rng.randrange(PICTURES)
            rows.append(shard.latents[place])
            shown.append(shard.attributes[place])
        return torch.stack(rows).float(), shown, width, height


def _is_native(shard: Shard) -> bool:
    return (shard.width, shard.height) in SIZES


def _part(latents: torch.Tensor, rng: random.Random) -> tuple[torch.Tensor, int, int]:
    """The same native-sized part of each picture, with its width and height in pixels."""
    width, height = rng.choice(SIZES)
    across, down = width // LATENT_SCALE, height // LATENT_SCALE
    left = rng.randrange(latents.shape[3] - across + 1)
    top = rng.randrange(latents.shape[2] - down + 1)
    return latents[:, :, top : top + down, left : left + across].contiguous(), width, height


@torch.no_grad()
def _encoded(base: StableDiffusionXLPipeline, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, 77, width) embeddings and (count, 64) pooled, of the base's own text encoders."""
    first_ids, second_ids = tokenize((base.tokenizer, base.tokenizer_2), texts)
    first = base.text_encoder(first_ids, output_hidden_states=True)
    second = base.text_encoder_2(second_ids, output_hidden_states=True)
    return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def train_larger(
    work: Path,
    base: StableDiffusionXLPipeline,
    minutes: float,
    steps: int | None = None,
    shards: int = 200,
    peak: float = 3e-4,
    warm_up: int = 100,
    log: Callable[[str], None] = print,
) -> UNet2DConditionModel:
    """Train the UNet of `base` further for `minutes` or `steps`, saving state to `work`/larger.pt.

    Returns it with averaged weights.
    """
    torch.manual_seed(_SEED)
    unet = base.unet.to(memory_format=torch.channels_last).requires_grad_(True)
    unet.set_attn_processor(AttnProcessor())
    training = Training(
        work / STATE,
        {"unet": unet},
        unet.parameters(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.998,
        weight_decay=1e-2,
    )
    bank, snr = Bank(base.vae, work / "latents-larger", shards), signal_to_noise()
    while len(bank) < min(16, shards):
        bank.grow()
    log(f"{len(bank) * PICTURES} latents, {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M parameters")

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = random.Random(_SEED * 1_000_003 + step)
        kind = rng.choices(_KINDS, _KIND_SHARES)[0]
        latents, shown, width, height = bank.batch(rng, kind == "native")
        last = 1000
        if kind == "part":
            latents, width, height = _part(latents, rng)
            last = PART_STEPS
        texts, zeroed = caption_batch(shown, rng)
        context, pooled = _encoded(base, texts)
        kept = (~zeroed).float()
        context, pooled = context * kept.view(-1, 1, 1), pooled * kept.view(-1, 1)
        ids = time_ids(width, height, len(latents))
        timesteps = spread_timesteps(len(latents)) * last // 1000
        loss = noise_loss(unet, latents, context, pooled, ids, snr, timesteps)
        return loss, {kind: loss.item()}

    training.run(loss_of, after=lambda step: None if step % 20 else bank.grow())
    unet.set_attn_processor(AttnProcessor2_0())
    return unet


def load_larger(work: Path, base: StableDiffusionXLPipeline) -> UNet2DConditionModel:
    """The UNet of `base` with the averaged weights of `work`/larger.pt."""
    state = load_state(work / STATE)
    if state is None:
        raise FileNotFoundError(f"{work / STATE} is not there: train larger first")
    average = AveragedWeights(base.unet.parameters(), decay=0.0)
    average.values = state["average"]
    average.swap_in()
    return base.unet
