"""The img2img second pass, which reworks the finished image. A refiner continues the first pass instead."""

from __future__ import annotations

from PIL import Image

from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingPass, SamplingRun
from .img2img import encoded


def begin(run: SamplingRun, model: ModelContext, image: Image.Image) -> SamplingPass:
    """The second pass over a finished image at `refinement_strength`, before its first step."""
    return run.begin(
        model,
        image.size,
        steps=run.request.img2img_pass_steps,
        latents=encoded(run, model, image),
        second=True,
    )
