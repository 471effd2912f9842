"""The img2img second pass, which reworks the finished image. A refiner continues the first pass instead."""

from __future__ import annotations

from ...request import GenerationRequest
from ..sampling.denoiser import ModelContext
from ..sampling.loop import SamplingRun
from ..unfinished import Stage, Unfinished
from .img2img import encoded
from .passes import Drawn, Pass, of_latents


class SecondPass(Pass):
    """Over one image at a time, at `refinement_strength`."""

    status = name = "Second pass"
    keeps = "redrawn"

    def __init__(self, model: ModelContext):
        self._model = model

    def work(self, request: GenerationRequest) -> float:
        return request.img2img_pass_steps.drawn * request.width * request.height

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ("img2img",)

    def draw(self, run: SamplingRun, before: Drawn | None, saved: Unfinished | None) -> Drawn:
        picture = saved.picture if saved is not None else before.images[0] if before is not None else None
        assert picture is not None  # a state of this stage has one
        run.stage, run.picture = "img2img", picture
        sampling = run.begin(
            self._model,
            picture.size,
            steps=run.request.img2img_pass_steps,
            latents=encoded(run, self._model, picture),
            second=True,
        )
        if saved is not None:
            sampling.restore(saved)
        return of_latents(run, self._model, sampling.sample(self._model))
