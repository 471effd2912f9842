"""What a mode is: how the first pass of a request makes its picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from PIL import Image

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ..sampling.loop import ModelContext, SamplingRun


class Mode(ABC):
    """One object for each job: it holds the job's input pictures, fitted, and serves all of its batch."""

    encodes_input: ClassVar[bool] = False
    """Whether the VAE reads a picture first, which in half precision may overflow."""

    @classmethod
    @abstractmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        """Read and fit the input pictures. Raises `ModelError`, `NotFoundError`, `GenerationError`."""

    @abstractmethod
    def sample(self, run: SamplingRun, model: ModelContext, until: float | None) -> torch.Tensor:
        """Latents (1, 4, height / 8, width / 8) of one picture.

        `until`: the part of the schedule (0 to 1) after which a refiner goes on; they are still noisy then.
        """

    def finish(self, image: Image.Image) -> Image.Image:
        """The result from what was drawn (RGB, width x height of the request)."""
        return image
