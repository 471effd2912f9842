"""The first pass, which a refiner may continue."""

from __future__ import annotations

from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingRun
from ..unfinished import Stage, Unfinished
from .base import Mode
from .passes import Drawn, Pass, of_latents


class FirstPass(Pass):
    status = "Generating"

    def __init__(self, mode: Mode, model: ModelContext, refiner: ModelContext | None = None):
        self._mode, self._model, self._refiner = mode, model, refiner

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ("first",) if self._refiner is None else ("first", "refiner")

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        sampling = self._mode.begin(run, self._model)
        if saved is not None:
            sampling.restore(saved)
        run.stage = "first" if saved is None else saved.stage
        if run.stage == "first":
            latents = sampling.sample(self._model, run.request.refiner_switch if self._refiner else 1.0)
        if self._refiner is None:
            return of_latents(run, self._model, latents)
        run.reporter.status("Second pass")
        run.stage = "refiner"
        return of_latents(run, self._refiner, sampling.sample(self._refiner))
