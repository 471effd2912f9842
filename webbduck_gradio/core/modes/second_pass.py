"""The second pass: a refiner finishes the first pass's latents, or img2img reworks its image."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ..sampling.loop import ModelContext, SamplingRun
from . import img2img


def resume(run: SamplingRun, model: ModelContext, latents: torch.Tensor, first: ModelContext) -> torch.Tensor:
    """Finish the noisy latents (1, 4, h, w) of `first` from the switch point on, on its schedule."""
    # The latents' noise follows the first model's schedule; the prediction type is the refiner's own.
    own = model.loaded.scheduler.get("prediction_type", "epsilon")
    return run.denoise(
        model,
        StableDiffusionXLImg2ImgPipeline,
        run.request.steps,
        schedule=first.loaded.scheduler | {"prediction_type": own},
        image=latents,
        denoising_start=run.request.refiner_switch,
    )


def refine(run: SamplingRun, model: ModelContext, image: Image.Image) -> torch.Tensor:
    """Latents (1, 4, h, w) of a finished image after img2img at `refinement_strength`."""
    request = run.request
    steps = request.second_pass_steps or request.steps
    return img2img.denoise_image(run, model, image, request.refinement_strength, steps)
