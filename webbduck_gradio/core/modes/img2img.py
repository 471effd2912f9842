"""Generation from an input image and a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from PIL import Image

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from .. import image_ops, vae
from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingPass, SamplingRun
from .base import Mode


class Img2Img(Mode):
    def __init__(self, image: Image.Image):
        """`image`: RGB, of the request's size."""
        self._image = image

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        return cls(image_ops.fit(image, (request.width, request.height), request.resize_mode))

    @property
    def inputs(self) -> Sequence[Image.Image]:
        return (self._image,)

    def begin(self, run: SamplingRun, model: ModelContext) -> SamplingPass:
        latents = encoded(run, model, self._image)
        return run.begin(model, self._image.size, latents=latents)


def encoded(run: SamplingRun, model: ModelContext, image: Image.Image) -> torch.Tensor:
    """Latents (1, 4, h, w) of an image (sides multiples of 8)."""
    model.loaded.for_coding(image.size, torch.float32)
    latents, warnings = vae.encode(model.loaded.pipe, image.convert("RGB"))
    run.warnings.extend(warnings)
    return latents
