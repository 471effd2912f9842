"""Generation from an input image and a prompt."""

from __future__ import annotations

from typing import Self

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from .. import image_ops
from ..sampling.loop import ModelContext, SamplingRun
from .base import Mode


class Img2Img(Mode):
    encodes_input = True

    def __init__(self, image: Image.Image):
        """`image`: RGB, of the request's size."""
        self._image = image

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        return cls(image_ops.fit(image, (request.width, request.height), request.resize_mode))

    def sample(self, run: SamplingRun, model: ModelContext, until: float | None) -> torch.Tensor:
        return denoise_image(run, model, self._image, run.request.strength, run.request.steps)


def denoise_image(
    run: SamplingRun, model: ModelContext, image: Image.Image, strength: float, steps: int
) -> torch.Tensor:
    """Latents (1, 4, height / 8, width / 8) of `image` (RGB, sides multiples of 8) after noising and
    denoising.

    `strength`: 0 to 1; at 1 almost nothing of `image` remains.
    """
    return run.denoise(
        model, StableDiffusionXLImg2ImgPipeline, steps, image=image.convert("RGB"), strength=strength
    )
