"""A second checkpoint goes over the first one's picture."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ..drawing import Brush, Drawing
from . import img2img


def resume(drawing: Drawing, brush: Brush, latents: torch.Tensor) -> torch.Tensor:
    """Finish noisy latents from the switch point on, on the same schedule."""
    return drawing.run(
        brush,
        StableDiffusionXLImg2ImgPipeline,
        drawing.request.steps,
        image=latents,
        denoising_start=drawing.request.refiner_switch,
    )


def refine(drawing: Drawing, brush: Brush, image: Image.Image) -> torch.Tensor:
    """Latents of a finished picture drawn again at `refinement_strength`, with steps of its own."""
    request = drawing.request
    steps = request.second_pass_steps or request.steps
    return img2img.draw(drawing, brush, image, request.refinement_strength, steps)
