"""A picture from a picture and words."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ..sampling.loop import ModelContext, SamplingRun


def draw(
    drawing: SamplingRun, brush: ModelContext, image: Image.Image, strength: float, steps: int
) -> torch.Tensor:
    """Latents of `image` (RGB, its sides multiples of 8) drawn again; `strength` 1 keeps next to nothing."""
    return drawing.denoise(
        brush, StableDiffusionXLImg2ImgPipeline, steps, image=image.convert("RGB"), strength=strength
    )
