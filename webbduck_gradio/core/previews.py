"""Previews: a linear map from latents to RGB, without the VAE, in about a millisecond."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from .sampling import schedulers

SDXL_RGB = (
    (0.3651, 0.4232, 0.4341),
    (-0.2533, -0.0042, 0.1068),
    (0.1076, 0.1111, -0.0362),
    (-0.3165, -0.2492, -0.2188),
    (0.1084, -0.0175, -0.0011),
)
"""RGB in -1..1 = latents @ the first four rows + the last, for SDXL's own VAE."""

LONGEST = 384
"""Longer side of a preview in pixels."""


def latents_to_rgb(latents: torch.Tensor, rgb: Sequence[Sequence[float]] | None) -> Image.Image:
    """RGB image of clean latents (1, 4, h, w), its longer side at most `LONGEST` pixels.

    `rgb`: four rows of factors and one of bias; None = `SDXL_RGB`.
    """
    table = torch.tensor(rgb or SDXL_RGB, dtype=torch.float32)
    colours = latents[0].float().cpu().permute(1, 2, 0) @ table[:4] + table[4]
    pixels = (colours.nan_to_num().clamp(-1, 1) + 1) * 127.5
    small = Image.fromarray(pixels.round().to(torch.uint8).numpy(), "RGB")
    factor = min(8.0, LONGEST / max(small.size))
    size = (max(1, round(small.width * factor)), max(1, round(small.height * factor)))
    return small.resize(size, Image.Resampling.BICUBIC)


def fit_preview(latents: torch.Tensor, pictures: torch.Tensor) -> list[list[float]]:
    """Factors as in `SDXL_RGB` for another VAE, fitted to latents (n, 4, h, w) and their images
    (n, 3, 8h, 8w) in -1..1."""
    colours = torch.nn.functional.avg_pool2d(pictures.float(), 8).permute(0, 2, 3, 1).reshape(-1, 3)
    values = latents.float().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    known = torch.cat([values, torch.ones(len(values), 1)], dim=1)
    return torch.linalg.lstsq(known, colours).solution.tolist()


def clean_latents(scheduler: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
    """The finished latents that `output` predicts for `sample` at `timestep`; all (1, 4, h, w)."""
    last = len(scheduler.alphas_cumprod) - 1
    step = min(max(round(float(timestep)), 0), last)
    # With zero terminal SNR alpha is 0 at the first step, which would divide by zero.
    alpha = max(float(scheduler.alphas_cumprod[step]), 1e-4) ** 0.5
    sigma = (1 - alpha**2) ** 0.5
    x = sample * alpha if schedulers.is_sigma_scaled(scheduler) else sample
    if scheduler.config.prediction_type == "v_prediction":
        return alpha * x - sigma * output
    if scheduler.config.prediction_type == "sample":
        return output
    return (x - sigma * output) / alpha


def hook_scheduler_step(
    scheduler: Any, wanted: Callable[[], bool], show: Callable[[torch.Tensor], None]
) -> None:
    """Call `show` with the clean latents (1, 4, h, w) of each step for which `wanted()` is true.

    Replaces `scheduler.step`, on this instance only: diffusers' `callback_on_step_end` gets the latents after
    the step, but not the model's prediction.
    """
    inner = scheduler.step

    @functools.wraps(inner)  # pipelines inspect the signature
    def step(model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **more: Any) -> Any:
        if wanted():
            show(clean_latents(scheduler, model_output, timestep, sample))
        return inner(model_output, timestep, sample, *args, **more)

    scheduler.step = step
