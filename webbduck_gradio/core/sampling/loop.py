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
    """A loaded checkpoint with the prompt embeddings for it."""

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
        model: ModelContext,
        kind: type,
        steps: int,
        schedule: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> torch.Tensor:
        """Latents (1, 4, height / 8, width / 8), scaled as the VAE wants them, from `steps` steps.

        `kind`: a pipeline class of diffusers. `schedule`: the scheduler's configuration of the pass that this
        one continues; None = the checkpoint's own. `arguments`: what pipelines of that kind take beside the
        prompt: `width` and `height` in pixels, `image` as a PIL picture (RGB) or as latents (1, 4, h, w),
        `mask_image` (L, white = painted), `strength`, `denoising_start` and `denoising_end` (0 to 1).

        Raises `CancelledError` from the reporter, and whatever torch raises. Whatever happens, the checkpoint
        stays as it was loaded.
        """
        pipe = model.loaded.view(kind)
        pristine = pipe.scheduler
        # A pass that goes over the finished picture needs noise of its own, also from samplers with a seed.
        seed = self.seed if schedule or not self._begun else self.seed + MAX_SEED + 1
        self._begun = True
        schedule = schedule or model.loaded.scheduler
        asked = self.request
        scheduler = schedulers.build(asked.sampler, asked.schedule, schedule, steps, seed)
        rgb = model.loaded.checkpoint.latent_rgb
        previews.hook_scheduler_step(
            scheduler,
            self.reporter.wants_preview,
            lambda latents: self.reporter.preview(previews.latents_to_rgb(latents, rgb)),
        )
        pipe.scheduler = scheduler
        try:
            return pipe(
                **model.embeddings.arguments(),
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
