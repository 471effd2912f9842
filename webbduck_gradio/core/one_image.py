"""Draws images of a prepared job: their passes in turn, each decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from PIL import Image

from ..errors import GenerationError, OutOfMemoryError, WebbDuckError
from ..models.prompt_resolver import ResolvedPrompt
from ..request import GenerationRequest, applicability
from . import devices, seamless, vae
from .modes import Mode, second_pass
from .origin import Origin
from .progress import ProgressReporter
from .sampling.denoiser import ModelContext
from .sampling.loop import SamplingRun
from .slow_steps import SlowSteps
from .unfinished import FOREIGN, Stage, Unfinished

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class PreparedJob:
    """Everything that generating a request needs, shared by the images of the batch."""

    request: GenerationRequest
    wording: ResolvedPrompt
    mode: Mode
    origin: Callable[[], Origin]
    caveats: tuple[str, ...]
    """Warnings of the image that goes on from a saved state."""
    first: ModelContext
    second: ModelContext | None = None
    continues: bool = False
    """Whether the second pass is a refiner, which continues the first pass's latents."""

    @property
    def networks(self) -> list[torch.nn.Module]:
        """UNet and VAE of each pass."""
        pipes = [each.loaded.pipe for each in (self.first, self.second) if each is not None]
        return [part for pipe in pipes for part in (pipe.unet, pipe.vae)]

    @property
    def axes(self) -> seamless.Axes:
        """Over which sides the picture continues at the opposite one."""
        without = applicability.without_effect(self.request.model_dump())
        return () if "tiling" in without else seamless.AXES[self.request.tiling]


class Drawn(NamedTuple):
    """Images, their warnings, and the stages that are kept; of images drawn together there are none."""

    images: list[Image.Image]
    warnings: tuple[str, ...]
    stages: Mapping[str, Image.Image]


def draw(
    plan: PreparedJob,
    index: int,
    reporter: ProgressReporter,
    memory_warnings: Sequence[str] = (),
    saved: Unfinished | None = None,
    slow_steps: SlowSteps | None = None,
    count: int = 1,
) -> Drawn:
    """Image `index`, or `count` images from it on together. `memory_warnings`: the job's
    so far. `saved`: where it goes on. `slow_steps`: the job's; None = they are not looked for. With an
    img2img second pass `count` is 1."""
    with seamless.wrapped(plan.networks, plan.axes):
        return _drawn(plan, index, reporter, memory_warnings, saved, slow_steps, count)


def _drawn(
    plan: PreparedJob,
    index: int,
    reporter: ProgressReporter,
    memory_warnings: Sequence[str],
    saved: Unfinished | None,
    slow_steps: SlowSteps | None,
    count: int,
) -> Drawn:
    second = plan.second
    run = SamplingRun(plan.request, index, reporter, plan.origin, memory_warnings, slow_steps, count)
    if saved is not None:
        later: Stage = "first" if second is None else "refiner" if plan.continues else "img2img"
        if saved.stage not in ("first", later):
            raise GenerationError(FOREIGN)
        run.warnings += [*saved.warnings, *plan.caveats]
        run.stages |= saved.stages
    if saved is None or saved.picture is None:
        images, saved = _first(plan, run, saved), None
    else:
        images = [saved.picture]
    if second is not None and not plan.continues:
        reporter.status("Second pass")
        run.stage, (run.picture,) = "img2img", images
        run.keep("base", plan.mode.finish(run.picture))
        sampling = second_pass.begin(run, second, run.picture)
        if saved is not None:
            sampling.restore(saved)
        images = _decoded(run, second, sampling.sample(second))
    images = [plan.mode.finish(each) for each in images]
    return Drawn(images, tuple(dict.fromkeys(run.warnings)), run.stages)


def _first(plan: PreparedJob, run: SamplingRun, saved: Unfinished | None) -> list[Image.Image]:
    """The images of the first pass, which a refiner may continue."""
    request, second, last = plan.request, plan.second, plan.first
    sampling = plan.mode.begin(run, plan.first)
    if saved is not None:
        sampling.restore(saved)
        run.stage = saved.stage
    if run.stage == "first":
        latents = sampling.sample(plan.first, request.refiner_switch if plan.continues else 1.0)
    if second is not None and plan.continues:
        run.reporter.status("Second pass")
        run.stage, last = "refiner", second
        latents = sampling.sample(second)
    return _decoded(run, last, latents)


def _decoded(run: SamplingRun, model: ModelContext, latents: torch.Tensor) -> list[Image.Image]:
    """One by one: decoding takes more memory than sampling."""
    request = run.request
    try:
        loaded = model.loaded
        dtype = loaded.decoding.current if loaded.decoding else loaded.pipe.vae.dtype
        loaded.for_coding((request.width, request.height), dtype)
        decoded = [vae.decode(loaded.pipe, each, loaded.decoding) for each in latents.split(1)]
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        devices.log_shortage(f"decoding {request.width} x {request.height} pixels")
        raise OutOfMemoryError(_too_large_message(request), decoding=True) from None
    for _, warnings in decoded:
        run.warnings.extend(warnings)
    return [image for image, _ in decoded]


def translate_errors(request: GenerationRequest, work: Callable[[], Result]) -> Result:
    """Run `work`; log errors of torch and diffusers, and raise them as `OutOfMemoryError` or
    `GenerationError`."""
    try:
        return work()
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            devices.log_shortage(f"generating {request.width} x {request.height} pixels")
            raise OutOfMemoryError(_too_large_message(request)) from None
        log.exception("Generation failed")
        raise GenerationError(
            f"The picture could not be generated ({error.__class__.__name__}); the log has the details."
        ) from error


def _too_large_message(request: GenerationRequest) -> str:
    return f"There is not enough memory for {request.width} x {request.height} pixels; choose a smaller size."
