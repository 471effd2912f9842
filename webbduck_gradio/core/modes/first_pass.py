"""The first pass, which a refiner may continue."""

from __future__ import annotations

from ...errors import GenerationError
from ...request import GenerationRequest
from ..sampling.denoiser import ModelContext
from ..sampling.loop import Part, SamplingPass, SamplingRun
from ..unfinished import FOREIGN, Stage, Unfinished
from .base import Mode
from .passes import Drawn, Pass, of_image, of_latents


class FirstPass(Pass):
    status = "Generating"
    name = "First pass"
    keeps = "base"

    def __init__(self, mode: Mode, model: ModelContext, refiner: ModelContext | None = None):
        self._mode, self._model, self._refiner = mode, model, refiner

    def work(self, request: GenerationRequest) -> float:
        return request.first_pass_steps.drawn * self._mode.pixels(request, self._model)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ("first",) if self._refiner is None else ("first", "refiner")

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        count = self._mode.parts(self._model)
        if saved is not None and saved.part >= max(count, 1):
            raise GenerationError(FOREIGN)
        if not count:
            return self._sampled(run, saved)[1]
        run.part = Part(count=count)
        if saved is not None:
            run.part = Part(saved.part, count, saved.canvas, saved.steps_before)
        while True:
            sampling, drawn = self._sampled(run, saved)
            saved, part = None, run.part
            (image,) = drawn.images
            canvas = self._mode.end(run, self._model, image)
            if part.number + 1 == count:
                run.part = Part()
                return of_image(canvas)
            run.part = Part(part.number + 1, count, canvas, part.steps_before + sampling.steps_done)

    def _sampled(self, run: SamplingRun, saved: Unfinished | None) -> tuple[SamplingPass, Drawn]:
        """One pass over the whole image, or over a part of it."""
        sampling = self._mode.begin(run, self._model)
        if saved is not None:
            sampling.restore(saved)
        run.stage = "first" if saved is None else saved.stage
        if run.stage == "first":
            latents = sampling.sample(self._model, run.request.refiner_switch if self._refiner else 1.0)
        if self._refiner is None:
            return sampling, of_latents(run, self._model, latents)
        run.pass_name = "Second pass"
        run.reporter.status(run.pass_name)
        run.stage = "refiner"
        return sampling, of_latents(run, self._refiner, sampling.sample(self._refiner))
