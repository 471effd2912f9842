"""Trains the VAE (f8, four latent channels) on drawings.

The loss has a term for 8x8 block means with extra weight on chroma: without it, the four channels encode
outlines first, and purple ducks are decoded as brown.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from ..drawing.scenes import NATIVE_SIZE, SIZES, draw, sample
from ..drawing.styles import STYLES
from ..precision import autocast
from .loop import Training, TrainingClock

VAE_CONFIG: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [16, 48, 96, 128],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": NATIVE_SIZE,
    "scaling_factor": 1.0,
    "force_upcast": False,
    "mid_block_add_attention": False,
}
CROP = 128
"""Side of the crops in pixels; every other step uses whole images."""
STYLED_SHARE = 0.5
"""Share of styled images in decoder-only training: the LoRAs' styles need colours that drawings lack."""
_SEED = 1207


def to_tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """8-bit RGB images (height, width, 3) of equal size -> (count, 3, height, width) in -1..1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return stacked.float().div_(127.5).sub_(1.0).contiguous(memory_format=torch.channels_last)


def training_batch(step: int, crops: int = 8, styled: float = 0.0) -> torch.Tensor:
    """The images of a step: crops on even steps, two whole ones on odd steps; deterministic by `step`.

    `styled` is the share (0..1) of images in one of the LoRAs' styles.
    """
    rng = random.Random(_SEED * 1_000_003 + step)

    def one(width: int = NATIVE_SIZE, height: int = NATIVE_SIZE) -> np.ndarray:
        picture = draw(sample(rng), rng.randrange(2**31), width, height)
        if styled and rng.random() < styled:
            picture = rng.choice(list(STYLES.values())).apply(picture)
        return picture

    if step % 2:
        width, height = rng.choice(SIZES) if rng.random() < 0.3 else SIZES[0]
        return to_tensor([one(width, height) for _ in range(2)])
    pictures = []
    for _ in range(crops // 2):
        picture = one()
        for _ in range(2):
            # Aligned with the latent grid, like the squares of pixel art.
            top, left = (8 * rng.randrange((NATIVE_SIZE - CROP) // 8 + 1) for _ in range(2))
            pictures.append(picture[top : top + CROP, left : left + CROP])
    return to_tensor(pictures)


def gradient_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """L1 loss of neighbouring-pixel differences at three scales, for edges."""
    total = made.new_zeros(())
    for scale in range(3):
        if scale:
            made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
        for axis in (2, 3):
            total = total + (made.diff(dim=axis) - real.diff(dim=axis)).abs().mean()
    return total


def block_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """L1 loss of 8x8 block means, with four times the weight on chroma."""
    error = F.avg_pool2d(made - real, 8)
    grey = error.mean(dim=1, keepdim=True)
    return error.abs().mean() + 4.0 * (error - grey).abs().mean()


def reconstruction_loss(made: torch.Tensor, real: torch.Tensor, square: float = 3.0) -> torch.Tensor:
    """The decoder's loss: pixel, edge and block errors of images in -1..1.

    `square`: weight of the squared error, which determines PSNR.
    """
    pixel = (made - real).abs().mean() + square * (made - real).square().mean()
    return pixel + 0.15 * gradient_loss(made, real) + 0.6 * block_loss(made, real)


def psnr(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of each image, (count,); images in -1..1, rounded to 8 bits."""
    made = ((made.clamp(-1, 1) + 1) * 127.5).round()
    error = (made - (real + 1) * 127.5).square().flatten(1).mean(1).clamp_min(1e-9)
    return 10 * torch.log10(255.0**2 / error)


@torch.no_grad()
def held_out_psnr(vae: AutoencoderKL, count: int = 48, seed: int = 77) -> tuple[float, float]:
    """(mean, minimum) PSNR in dB over held-out drawings, with the posterior's mean, in float32."""
    rng = random.Random(seed)
    values = []
    for _ in range(count):
        real = to_tensor([draw(sample(rng, held_out=True), rng.randrange(2**31))])
        latent = vae.encode(real).latent_dist.mode()
        values.append(psnr(vae.decode(latent).sample, real).item())
    return sum(values) / len(values), min(values)


def train_vae(
    work: Path,
    minutes: float,
    steps: int | None = None,
    start_from: Path | None = None,
    decoder_only: bool = False,
    peak: float = 1.2e-3,
    warm_up: int = 60,
    config: dict[str, Any] | None = None,
    log: Callable[[str], None] = print,
) -> AutoencoderKL:
    """Train for `minutes` or `steps`, saving state to `work`/vae.pt (and vae-decoder.pt).

    `decoder_only` freezes the encoder of the finished vae.pt, so that existing latents stay valid, and also
    trains the decoder on the LoRAs' styles. Returns the model with averaged weights.
    """
    torch.manual_seed(_SEED)
    path = work / ("vae-decoder.pt" if decoder_only else "vae.pt")
    vae = AutoencoderKL.from_pretrained(start_from) if start_from else AutoencoderKL(**(config or VAE_CONFIG))
    vae = vae.float().to(memory_format=torch.channels_last)
    trained = list(vae.parameters())
    if decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
        trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    training = Training(
        path,
        {"model": vae},
        trained,
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.998,
        weight_decay=1e-4,
    )
    # Sampled latents are never exact, so the decoder is trained with a little noise.
    noise = 0.05 if decoder_only else 0.0

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        real = training_batch(step, styled=STYLED_SHARE if decoder_only else 0.0)
        with autocast():
            made, kl = _pass_through(vae, real, decoder_only, noise)
        loss = reconstruction_loss(made.float(), real, square=8.0 if decoder_only else 3.0) + 1e-4 * kl
        error = (made.detach().float().clamp(-1, 1) - real).square().mean().item() / 4
        return loss, {"psnr": -10 * math.log10(error), "kl": kl.item()}

    def tell(step: int) -> None:
        if step % 500:
            return
        training.average.swap_in()
        mean, worst = held_out_psnr(vae, 16)
        training.average.swap_out()
        log(f"held-out PSNR {mean:.2f} dB, worst {worst:.2f}")

    training.run(loss_of, after=tell)
    return vae


def _pass_through(
    vae: AutoencoderKL, real: torch.Tensor, frozen: bool, noise: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode and decode a batch; returns the images and the KL term (0 if the encoder is frozen)."""
    if frozen:
        with torch.no_grad():
            latent = vae.encode(real).latent_dist.mode()
        latent = latent + noise * torch.randn_like(latent) * torch.rand(len(real), 1, 1, 1)
        return vae.decode(latent).sample, real.new_zeros(())
    posterior = vae.encode(real).latent_dist
    kl = posterior.kl().float().mean() / (real.shape[-1] * real.shape[-2] / 64)
    return vae.decode(posterior.sample()).sample, kl
