"""One picture being drawn: its noise, its scheduler, its progress. The modes say what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...request import MAX_SEED, GenerationRequest
from .. import previews
from ..checkpoint_cache import LoadedCheckpoint
from ..progress import ProgressReporter
from ..prompts import Embeddings
from . import schedulers


@dataclass(frozen=True)
class ModelContext:
    """A checkpoint in memory and what it was told."""

    loaded: LoadedCheckpoint
    embeddings: Embeddings


class SamplingRun:
    """Picture `index` of a request. One generator gives the noise of all its passes: seeding the second
    pass with the same seed again would repeat the first one's noise."""

    def __init__(self, request: GenerationRequest, index: int, reporter: ProgressReporter):
        self.request, self.index, self.reporter = request, index, reporter
        self.seed = request.seed_of(index)
        self.generator = torch.Generator("cpu").manual_seed(self.seed)
        self._begun = False

    def denoise(
        self,
        brush: ModelContext,
        kind: type,
        steps: int,
        schedule: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> torch.Tensor:
        """Latents from a pipeline of `kind`. `schedule`: that of the pass which this one continues; None =
        the checkpoint's own. Whatever happens, the checkpoint stays as it was loaded."""
        pipe = brush.loaded.view(kind)
        pristine = pipe.scheduler
        # A pass that goes over the finished picture needs noise of its own, also from samplers with a seed.
        seed = self.seed if schedule or not self._begun else self.seed + MAX_SEED + 1
        self._begun = True
        schedule = schedule or brush.loaded.scheduler
        asked = self.request
        scheduler = schedulers.build(asked.sampler, asked.schedule, schedule, steps, seed)
        rgb = brush.loaded.checkpoint.latent_rgb
        previews.hook_scheduler_step(
            scheduler,
            self.reporter.wants_preview,
            lambda latents: self.reporter.preview(previews.latents_to_rgb(latents, rgb)),
        )
        pipe.scheduler = scheduler
        try:
            return pipe(
                **brush.embeddings.arguments(),
                **arguments,
                num_inference_steps=steps,
                guidance_scale=self.request.cfg,
                generator=self.generator,
                output_type="latent",
                callback_on_step_end=self._stepped,
            ).images
        finally:
            pipe.scheduler = pristine

    def _stepped(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.reporter.step(self.index, step + 1, pipe.num_timesteps)
        self.reporter.check()
        return tensors
