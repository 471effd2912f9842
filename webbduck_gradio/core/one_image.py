"""Draws images of a prepared job: their passes in turn, each decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from PIL import Image

from ..errors import GenerationError, OutOfMemoryError, WebbDuckError
from ..models.embeddings import Embedding
from ..models.prompt_resolver import ResolvedPrompt
from ..request import GenerationRequest, applicability
from . import devices, seamless
from .modes.base import Mode
from .modes.details import Details
from .modes.finishing import Finishing
from .modes.first_pass import FirstPass
from .modes.hires import HiresPass
from .modes.passes import Pass, spans, too_large_message
from .modes.second_pass import SecondPass
from .origin import Origin
from .progress import ProgressReporter
from .sampling.denoiser import ModelContext
from .sampling.loop import SamplingRun
from .slow_steps import SlowSteps
from .unfinished import FOREIGN, Unfinished

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class PreparedJob:
    """Everything that generating a request needs, shared by the images of the batch that have equal texts."""

    request: GenerationRequest
    wordings: tuple[ResolvedPrompt, ...]
    """What the prompts of the first pass and of the hires pass come to."""
    mode: Mode
    origin: Callable[[], Origin]
    caveats: tuple[str, ...]
    """Warnings of the image that goes on from a saved state."""
    first: ModelContext
    second: ModelContext | None = None
    continues: bool = False
    """Whether the second pass is a refiner, which continues the first pass's latents."""
    hires: HiresPass | None = None
    last: ModelContext | None = None
    """What decodes the finished image; None = the first."""
    details: Details | None = None
    embeddings: tuple[Embedding, ...] = ()
    """That the prompts of all passes name."""

    @property
    def wording(self) -> ResolvedPrompt:
        """That of the first pass."""
        return self.wordings[0]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """In the order in which they are drawn."""
        passes: list[Pass] = [FirstPass(self.mode, self.first, self.second if self.continues else None)]
        if self.second is not None and not self.continues:
            passes.append(SecondPass(self.second))
        if self.hires is not None:
            passes.append(self.hires)
        passes.append(Finishing(self.mode))
        if self.details is not None:
            passes.append(self.details)
        return tuple(passes)

    @property
    def networks(self) -> list[torch.nn.Module]:
        """UNet and VAE of each pass."""
        pipes = [each.loaded.pipe for each in (self.first, self.second, self.last) if each is not None]
        return [part for pipe in pipes for part in (pipe.unet, pipe.vae)]

    @property
    def axes(self) -> seamless.Axes:
        """Over which sides the picture continues at the opposite one."""
        without = applicability.without_effect(self.request.model_dump())
        return () if "tiling" in without else seamless.AXES[self.request.tiling]


class Finished(NamedTuple):
    """Images with what is told of them. Of images drawn together no stages are kept."""

    images: list[Image.Image]
    warnings: tuple[str, ...]
    facts: Mapping[str, Any]
    """What the passes add to the metadata."""
    stages: Mapping[str, Image.Image]
    """By the names of `request.stages.PASSES`."""


def draw(
    plan: PreparedJob,
    index: int,
    reporter: ProgressReporter,
    memory_warnings: Sequence[str] = (),
    saved: Unfinished | None = None,
    slow_steps: SlowSteps | None = None,
    count: int = 1,
) -> Finished:
    """Image `index`, or `count` images from it on together. `memory_warnings`: the job's so far. `saved`:
    where it goes on. `slow_steps`: the job's; None = they are not looked for. With an img2img second pass,
    details or stages that are kept, `count` is 1."""
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
) -> Finished:
    run = SamplingRun(plan.request, index, reporter, plan.origin, memory_warnings, slow_steps, count)
    parts = spans(plan.passes, plan.request)
    has_several = sum(begin < end for begin, end in parts) > 1
    passes, drawn = list(zip(plan.passes, parts, strict=True)), None
    if saved is not None:
        while passes and saved.stage not in passes[0][0].stages:
            del passes[0]
        if not passes:
            raise GenerationError(FOREIGN)
        run.warnings += [*saved.warnings, *plan.caveats]
        run.stages |= saved.stages
    while passes:
        each, run.span = passes.pop(0)
        run.pass_name = each.name if has_several else ""
        if each.status:
            reporter.status(each.status)
        drawn, saved = each.draw(run, drawn, saved), None
        if each.keeps and any(later.keeps for later, _ in passes) and plan.request.keep_stages == "on":
            (image,) = drawn.images
            run.stages[each.keeps] = plan.mode.finish(image)
    assert drawn is not None
    return Finished(drawn.images, tuple(dict.fromkeys(run.warnings)), run.facts, run.stages)


def translate_errors(request: GenerationRequest, work: Callable[[], Result]) -> Result:
    """Run `work`; log errors of torch and diffusers, and raise them as `OutOfMemoryError` or
    `GenerationError`."""
    try:
        return work()
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            width, height = request.largest_size
            devices.log_shortage(f"generating {width} x {height} pixels")
            raise OutOfMemoryError(too_large_message(request.largest_size)) from None
        log.exception("Generation failed")
        raise GenerationError(
            f"The picture could not be generated ({error.__class__.__name__}); the log has the details."
        ) from error
