"""Base class of the modes, which define how the first pass generates its image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from PIL import Image

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ..sampling.loop import ModelContext, SamplingRun


class Mode(ABC):
    """One instance per job, which holds the job's resized input images and samples all of its batch."""

    encodes_input: ClassVar[bool] = False
    """Whether the VAE encodes an input image, which may overflow in half precision."""

    @classmethod
    @abstractmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        """Read and resize the input images. Raises `ModelError`, `NotFoundError`, `GenerationError`."""

    @abstractmethod
    def sample(self, run: SamplingRun, model: ModelContext, until: float | None) -> torch.Tensor:
        """Latents (1, 4, height / 8, width / 8) of one image.

        `until`: the fraction of the schedule (0 to 1) after which a refiner continues; the latents are still
        noisy then. None = the whole schedule.
        """

    def finish(self, image: Image.Image) -> Image.Image:
        """The final image from the decoded one (RGB, width x height of the request)."""
        return image
