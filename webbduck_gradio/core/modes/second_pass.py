"""A second checkpoint goes over the first one's picture."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ..sampling.loop import ModelContext, SamplingRun
from . import img2img


def resume(
    drawing: SamplingRun, model: ModelContext, latents: torch.Tensor, first: ModelContext
) -> torch.Tensor:
    """Finish noisy latents of `first` from the switch point on, on its schedule."""
    # What the refiner puts out is its own; where the steps lie is what the first one's noise asks for.
    own = model.loaded.scheduler.get("prediction_type", "epsilon")
    return drawing.denoise(
        model,
        StableDiffusionXLImg2ImgPipeline,
        drawing.request.steps,
        schedule=first.loaded.scheduler | {"prediction_type": own},
        image=latents,
        denoising_start=drawing.request.refiner_switch,
    )


def refine(drawing: SamplingRun, model: ModelContext, image: Image.Image) -> torch.Tensor:
    """Latents of a finished picture drawn again at `refinement_strength`, with steps of its own."""
    request = drawing.request
    steps = request.second_pass_steps or request.steps
    return img2img.draw(drawing, model, image, request.refinement_strength, steps)
