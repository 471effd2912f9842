"""Base class of the modes, which define how the first pass generates its image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from PIL import Image

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingPass, SamplingRun


class Mode(ABC):
    """One instance per job, which holds the job's resized input images and begins all of its batch."""

    @classmethod
    @abstractmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        """Read and resize the input images. Raises `ModelError`, `NotFoundError`, `GenerationError`."""

    @abstractmethod
    def begin(self, run: SamplingRun, model: ModelContext) -> SamplingPass:
        """The first pass of one image, before its first step."""

    @classmethod
    def largest_pass(cls, request: GenerationRequest, native: int) -> tuple[int, int]:
        """Width and height in pixels of the job's largest pass, apart from a second pass, which goes over the
        whole picture. `native`: the checkpoint's side."""
        return request.largest_size

    def parts(self, model: ModelContext) -> int:
        """In how many parts the first pass draws an image, each going on from the picture so far; 0 = in one,
        over the whole image."""
        return 0

    def pixels(self, request: GenerationRequest, model: ModelContext) -> int:
        """How many the first pass draws in all, which tells how long it takes."""
        return request.width * request.height

    def end(self, run: SamplingRun, model: ModelContext, image: Image.Image) -> Image.Image:
        """The picture so far with what the part that just ended has drawn (RGB, decoded)."""
        return image

    @property
    def inputs(self) -> Sequence[Image.Image]:
        """The input images as they are used."""
        return ()

    @property
    def limit(self) -> Image.Image | None:
        """What of the final image it draws (L, white, of its size); None = all."""
        return None

    def finish(self, image: Image.Image) -> Image.Image:
        """The final image from the decoded one (RGB, width x height of the request)."""
        return image
