"""Trains the starter upscaler (2x) on downscaled drawings and synthetic images.

The downscaling method of real inputs is unknown, so several are used. Images other than drawings keep the
network from inventing outlines.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import save_file

from ...core.realesrgan_compact import Compact
from ..drawing.scenes import NATIVE_SIZE, draw, sample
from ..drawing.synthetic_images import Picture, synthetic_image
from ..precision import autocast
from .loop import Training, TrainingClock

SCALE, WIDTH, DEPTH = 2, 32, 8
LARGE = NATIVE_SIZE * SCALE
CROP = 48
"""Side of the small crops in pixels."""
KERNELS = ("area", "bicubic", "lanczos", "soft")
"""Downscaling methods; "soft": blurred first, like images decoded by a VAE."""
_SEED = 2209
_RULES = {
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "soft": Image.Resampling.BOX,
}


def shrink(picture: Picture, kernel: str, scale: int = SCALE, blur: float = 0.8) -> Picture:
    """Downscale by `scale` with one of KERNELS; `blur` is the standard deviation in input pixels."""
    image = Image.fromarray(picture)
    if kernel == "soft":
        image = image.filter(ImageFilter.GaussianBlur(blur * scale / 2))
    size = (image.width // scale, image.height // scale)
    return np.asarray(image.resize(size, _RULES[kernel]))


def training_pairs(step: int, drawings: int = 1, others: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Low- and high-resolution crops in 0..1, (n, 3, side, side); deterministic by `step`."""
    rng = random.Random(_SEED * 1_000_003 + step)
    small, large = [], []
    for number in range(drawings + others):
        seed = rng.randrange(2**31)
        whole = (
            draw(sample(rng), seed, LARGE, LARGE) if number < drawings else synthetic_image(seed, NATIVE_SIZE)
        )
        shrunk = shrink(whole, rng.choice(KERNELS), blur=rng.uniform(0.4, 1.1))
        for _ in range(4):
            top, left = (rng.randrange(shrunk.shape[0] - CROP + 1) for _ in range(2))
            turn = rng.randrange(8)
            small.append(_turned(shrunk[top : top + CROP, left : left + CROP], turn))
            top, left, side = top * SCALE, left * SCALE, CROP * SCALE
            large.append(_turned(whole[top : top + side, left : left + side], turn))
    return to_unit(small), to_unit(large)


def _turned(crop: Picture, turn: int) -> Picture:
    return np.rot90(crop[:, ::-1] if turn >= 4 else crop, turn % 4)


def to_unit(pictures: list[Picture]) -> torch.Tensor:
    """8-bit RGB images of equal size -> (count, 3, height, width) in 0..1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return (stacked.float() / 255).contiguous(memory_format=torch.channels_last)


def relative_error(
    made: torch.Tensor, small: torch.Tensor, large: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """The loss, and the mean gain in dB over bicubic upscaling.

    The squared error of each crop is relative to bicubic's. Otherwise, a few unpredictable textures would
    dominate the loss.
    """
    with torch.no_grad():
        usual = F.interpolate(small, scale_factor=float(SCALE), mode="bicubic").clamp(0, 1)
        least = (usual - large).square().flatten(1).mean(1) + 2e-5
    error = (made - large).square().flatten(1).mean(1) + 1e-7
    return (error / least).mean(), (-10 * torch.log10(error.detach() / least)).mean().item()


def train_upscaler(
    work: Path,
    minutes: float,
    steps: int | None = None,
    width: int = WIDTH,
    depth: int = DEPTH,
    peak: float = 2e-3,
    log: Callable[[str], None] = print,
) -> Compact:
    """Train for `minutes` or `steps`, saving state to `work`/upscaler.pt.

    Returns the network with averaged weights.
    """
    torch.manual_seed(_SEED)
    network = Compact(width, depth, SCALE)
    with torch.no_grad():
        # Initially close to nearest neighbour, so that the network starts from an image instead of noise.
        for parameter in network.body[-1].parameters():
            parameter.mul_(0.1)
    training = Training(
        work / "upscaler.pt",
        {"model": network},
        network.parameters(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=60,
        decay=0.998,
        weight_decay=1e-4,
        clip=0.5,
    )

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        small, large = training_pairs(step)
        with autocast():
            made = network(small)
        loss, gain = relative_error(made.float(), small, large)
        return loss, {"gain": gain}

    training.run(loss_of)
    log(f"trained {training.clock.step} steps in {training.clock.seconds / 60:.1f} minutes")
    return network


def export_upscaler(network: Compact, path: Path, provenance: str) -> None:
    """Write the weights with description, provenance and licence."""
    about = {
        "architecture": "Compact",
        "modelspec.architecture": "compact",
        "modelspec.title": "WebbDuck starter upscaler, x2",
        "modelspec.license": "Apache-2.0",
        "scale": str(network.scale),
        "provenance": provenance,
    }
    state = {name: value.detach().float().contiguous() for name, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    save_file(state, partial, metadata=about)
    partial.replace(path)
