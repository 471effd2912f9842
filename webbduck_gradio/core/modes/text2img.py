"""Generation from a prompt alone."""

from __future__ import annotations

from typing import Self

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingPass, SamplingRun
from .base import Mode


class Text2Img(Mode):
    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        return cls()

    def begin(self, run: SamplingRun, model: ModelContext) -> SamplingPass:
        return run.begin(model, (run.request.width, run.request.height))
