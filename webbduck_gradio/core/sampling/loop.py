"""Sampling of one image: its noise, scheduler and progress. The modes choose the pipeline and its inputs."""

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
    """Sampling of image `index` of a request. All its passes share one generator: seeding the second pass
    with the same seed would repeat the noise of the first."""

    def __init__(self, request: GenerationRequest, index: int, reporter: ProgressReporter):
        self.request, self.index, self.reporter = request, index, reporter
        self.seed = request.seed_of(index)
        self.generator = torch.Generator("cpu").manual_seed(self.seed)
        self._is_started = False

    def denoise(
        self,
        model: ModelContext,
        kind: type,
        steps: int,
        schedule: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> torch.Tensor:
        """Latents (1, 4, height / 8, width / 8), in the UNet's scale, after `steps` steps.

        `kind`: a pipeline class of diffusers. `schedule`: the scheduler config of the pass that this one
        continues; None = the checkpoint's own. `arguments`: those of the pipeline beside the prompt: `width`
        and `height` in pixels, `image` as a PIL image (RGB) or as latents (1, 4, h, w), `mask_image` (L,
        white = inpainted), `strength`, `denoising_start` and `denoising_end` (0 to 1).

        Raises `CancelledError` from the reporter, and whatever torch raises. The loaded checkpoint is left
        unchanged in any case.
        """
        pipe = model.loaded.view(kind)
        pristine = pipe.scheduler
        # An img2img second pass needs different noise, also from samplers that are given a seed.
        seed = self.seed if schedule or not self._is_started else self.seed + MAX_SEED + 1
        self._is_started = True
        schedule = schedule or model.loaded.scheduler
        request = self.request
        scheduler = schedulers.build(request.sampler, request.schedule, schedule, steps, seed)
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
                guidance_scale=request.cfg,
                generator=self.generator,
                output_type="latent",
                callback_on_step_end=self._on_step_end,
            ).images
        finally:
            pipe.scheduler = pristine

    def _on_step_end(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.reporter.step(self.index, step + 1, pipe.num_timesteps)
        self.reporter.check()
        return tensors
