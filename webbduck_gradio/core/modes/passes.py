"""The passes in which an image is drawn: each begins with what the one before it gave."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from PIL import Image

from ...errors import OutOfMemoryError
from ...request import GenerationRequest
from .. import devices, vae
from ..sampling.denoiser import ModelContext
from ..sampling.loop import LATENT_PIXELS, SamplingRun
from ..unfinished import Stage, Unfinished


class Drawn:
    """What a pass gives: its images, and their latents as long as no pass has changed the pixels."""

    def __init__(self, decode: Callable[[], list[Image.Image]], latents: torch.Tensor | None = None):
        """`decode`: makes the images (RGB), when they are first asked for. `latents`: (n, 4, height / 8,
        width / 8), float32."""
        self._decode, self.latents = decode, latents

    @cached_property
    def images(self) -> list[Image.Image]:
        """RGB. Raises `OutOfMemoryError`."""
        return self._decode()


class Pass(ABC):
    """One pass of all images of a job."""

    status = ""
    """What the job does meanwhile, in a few words; "" if it takes no time worth mentioning."""

    name = ""
    """In what is told of the progress of an image that has several passes."""

    keeps = ""
    """Its name in `request.stages.PASSES`; "" if its result is no stage of the picture."""

    def work(self, request: GenerationRequest) -> float:
        """How much it has to do, in steps times pixels; 0 if it takes no time worth mentioning."""
        return 0

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages of unfinished images that it goes on with; () if it saves none."""

    @abstractmethod
    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        """The run's images. `before`: what the pass before gave; None in the first pass, and where an image
        goes on from `saved`, which is of one of the `stages`.

        Raises `CancelledError` from the reporter, `GenerationError`, and whatever torch raises.
        """


def spans(passes: Sequence[Pass], request: GenerationRequest) -> list[tuple[float, float]]:
    """Which part of an image's work each pass is: from and to, 0 to 1."""
    reached = list(accumulate((each.work(request) for each in passes), initial=0.0))
    return list(pairwise(each / (reached[-1] or 1) for each in reached))


def of_latents(run: SamplingRun, model: ModelContext, latents: torch.Tensor) -> Drawn:
    """What a pass gives that ends with these latents (n, 4, height / 8, width / 8)."""
    return Drawn(lambda: decoded(run, model, latents), latents)


def of_image(image: Image.Image) -> Drawn:
    """What a pass gives that ends with pixels (RGB)."""
    return Drawn(lambda: [image])


def decoded(run: SamplingRun, model: ModelContext, latents: torch.Tensor) -> list[Image.Image]:
    """The images of latents, one by one: decoding takes more memory than sampling."""
    height, width = (side * LATENT_PIXELS for side in latents.shape[2:])
    try:
        loaded = model.loaded
        dtype = loaded.decoding.current if loaded.decoding else loaded.pipe.vae.dtype
        loaded.for_coding((width, height), dtype)
        results = [vae.decode(loaded.pipe, each, loaded.decoding) for each in latents.split(1)]
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        devices.log_shortage(f"decoding {width} x {height} pixels")
        raise OutOfMemoryError(too_large_message((width, height)), decoding=True) from None
    for _, warnings in results:
        run.warnings.extend(warnings)
    return [image for image, _ in results]


def too_large_message(size: tuple[int, int]) -> str:
    """`size`: width and height in pixels."""
    return f"There is not enough memory for {size[0]} x {size[1]} pixels; choose a smaller size."
