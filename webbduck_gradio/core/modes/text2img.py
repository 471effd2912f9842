"""Generation from a prompt alone."""

from __future__ import annotations

from typing import Self

import torch
from diffusers import StableDiffusionXLPipeline

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ..sampling.loop import ModelContext, SamplingRun
from .base import Mode


class Text2Img(Mode):
    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        return cls()

    def sample(self, run: SamplingRun, model: ModelContext, until: float | None) -> torch.Tensor:
        request = run.request
        return run.denoise(
            model,
            StableDiffusionXLPipeline,
            request.steps,
            width=request.width,
            height=request.height,
            denoising_end=until,
        )
