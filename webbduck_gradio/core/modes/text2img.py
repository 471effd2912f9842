"""A picture from words alone."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLPipeline

from ..sampling.loop import ModelContext, SamplingRun


def draw(drawing: SamplingRun, brush: ModelContext, until: float | None = None) -> torch.Tensor:
    """Latents (1, 4, height / 8, width / 8); still noisy where a refiner goes on at `until`."""
    request = drawing.request
    return drawing.denoise(
        brush,
        StableDiffusionXLPipeline,
        request.steps,
        width=request.width,
        height=request.height,
        denoising_end=until,
    )
