"""The checkpoint's UNet as the denoiser of the samplers: scaling, conditioning, guidance, kept parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...models.lora_uses import LoraUse
from ..loaded_checkpoint import LoadedCheckpoint
from ..memory_needs import slice_attention
from ..prompts import Embeddings, ScheduledEmbeddings
from .guidance import Guidance, combined, joined, rescaled, thresholded
from .inpainted import Inpainted
from .model_sigmas import ModelSigmas
from .perturbations import (
    Perturbation,
    can_be_perturbed,
    changed,
    without_self_attention,
    without_transformer,
)
from .samplers.base import Prediction

AESTHETIC_SCORE, NEGATIVE_AESTHETIC_SCORE = 6.0, 2.5
"""What SDXL's refiner is conditioned on beside the size, as its authors do (Podell et al. 2023, "SDXL")."""


@dataclass(frozen=True)
class ModelContext:
    """A loaded checkpoint with the prompt embeddings for it."""

    loaded: LoadedCheckpoint
    embeddings: Embeddings | ScheduledEmbeddings
    loras: Sequence[LoraUse] | None = None
    """Those that it draws with; None = those that are active already."""


class UNetDenoiser:
    """One evaluation of a checkpoint's UNet, with guidance.

    A `Denoiser` of the samplers: latents (n, 4, h, w) in float32 in, predictions of the same shape out. The
    UNet computes in its own precision; all that guidance needs of it is one batch.
    """

    share = 0.0
    """Share of the steps that are done, 0 to 1. Whoever runs the sampler keeps it up to date."""
    begun_at = 0.0
    """The noise level at which the step begins. Kept up to date likewise."""

    def __init__(
        self,
        model: ModelContext,
        sigmas: ModelSigmas,
        guidance: Guidance,
        size: tuple[int, int],
        inpainted: Inpainted | None = None,
        evaluations: int = 0,
        images: int = 1,
    ):
        """`sigmas`: those that the latents' noise follows. `size`: width and height in pixels. `evaluations`:
        how many this pass has had. `images`: how many are drawn together."""
        pipe = model.loaded.pipe
        self._unet, self._sigmas, self._inpainted = pipe.unet, sigmas, inpainted
        self._device, self._dtype = model.loaded.device, pipe.unet.dtype
        self._prediction_type = model.loaded.scheduler["prediction_type"]
        self.evaluations, self._images = evaluations, images
        # Checkpoints distilled with guidance (LCM) take its strength as an input of the UNet.
        width = pipe.unet.config.time_cond_proj_dim
        cfg = guidance.cfg
        self._strength = _guidance_embedding(cfg, width).to(self._device, self._dtype) if width else None
        self._guidance = guidance = replace(guidance, cfg=1.0) if width else guidance
        if not can_be_perturbed(self._unet):
            self._guidance = guidance = replace(guidance, pag_scale=0.0, slg_scale=0.0)
        perturbed: list[tuple[Perturbation, float]] = [
            (without_self_attention, guidance.pag_scale),
            (without_transformer, guidance.slg_scale),
        ]
        self._perturbed = [(perturb, scale) for perturb, scale in perturbed if scale != 0]
        self._negatives, self._prompts = int(guidance.has_negative), len(guidance.weights)
        if self._device.type == "mps":
            slice_attention(self._unet, size, images * guidance.rows)
        negative, positive = _size_ids(pipe, size)
        self._size_ids = self._batch(negative, positive.repeat(self._prompts, 1))
        self._embeddings, self._given = model.embeddings, model.embeddings.at(evaluations)
        self._read()

    def _read(self) -> None:
        given = self._given
        self._context = self._batch(given.negative, given.prompt)
        self._pooled = self._batch(given.negative_pooled, given.pooled)

    def _batch(self, negative: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        """Parts of a batch, each of all images: the negative prompt, the prompts, the prompts with each
        perturbation."""
        parts = [*[negative] * self._negatives, *[positive] * (1 + len(self._perturbed))]
        return torch.cat(parts).repeat_interleave(self._images, 0).to(self._device, self._dtype)

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, sigma: float) -> Prediction:
        guidance, perturbed = self._guidance, self._perturbed
        first, negatives, prompts = 0, self._negatives, self._prompts
        acts = guidance.acts_at(self.share)
        if not acts:
            first, perturbed = 0 if guidance.is_joined else negatives, []
        elif guidance.skips_negative(sigma, self.evaluations):
            first = negatives
        given = self._embeddings.at(self.evaluations)
        if given is not self._given:
            self._given = given
            self._read()
        self.evaluations += 1
        parts = self._evaluated(x, sigma, range(first, negatives + prompts * (1 + len(perturbed))), perturbed)
        negative = parts.pop(0) if first < negatives else None
        # Where the negative prompt is left out, AUTOMATIC1111 has the first one take its place.
        base = parts[0] if negative is None else negative
        positive, *changed_ones = (
            joined(parts[place : place + prompts], guidance.weights, base)
            for place in range(0, len(parts), prompts)
        )
        if not acts or guidance.cfg == 1:
            negative = None
        others = [(part, scale) for part, (_, scale) in zip(changed_ones, perturbed, strict=True)]

        def guided(cfg: float) -> torch.Tensor:
            output = combined(negative, positive, others, cfg)
            if guidance.rescale and output is not positive:
                output = rescaled(output, positive, guidance.rescale)
            return self._denoised(x, sigma, output)

        denoised = guided(guidance.cfg)
        if guidance.mimic_cfg is not None and negative is not None:
            denoised = thresholded(denoised, guided(guidance.mimic_cfg), guidance.mimic_percentile)
        denoised = self._kept(denoised)
        if negative is None and not others:
            return Prediction(denoised, denoised)
        unguided = positive if negative is None else negative
        return Prediction(denoised, self._kept(self._denoised(x, sigma, unguided)))

    def _evaluated(
        self,
        x: torch.Tensor,
        sigma: float,
        parts: range,
        perturbed: Sequence[tuple[Perturbation, float]],
    ) -> list[torch.Tensor]:
        """What the UNet puts out for these parts of the batch; the last ones are perturbed, all prompts by
        each perturbation."""
        sample = (x * (1 / math.sqrt(sigma**2 + 1))).to(self._dtype)
        if self._inpainted is not None and (given := self._inpainted.channels(self.begun_at)):
            given = [each.to(sample).expand(len(x), -1, -1, -1) for each in given]
            sample = torch.cat([sample, *given], 1)
        images, count = self._images, len(parts)
        if count > 1:
            sample = torch.cat([sample] * count)
        rows = slice(parts.start * images, parts.stop * images)
        timestep = torch.tensor(self._sigmas.timestep(sigma), dtype=torch.float32, device=self._device)
        prompts = self._prompts
        places = range(count - prompts * len(perturbed), count, prompts)
        changes = [
            (perturb, slice(place * images, (place + prompts) * images))
            for (perturb, _), place in zip(perturbed, places, strict=True)
        ]
        with changed(self._unet, self._guidance.freeu, changes):
            output = self._unet(
                sample,
                timestep,
                encoder_hidden_states=self._context[rows],
                timestep_cond=self._strength,
                added_cond_kwargs={"text_embeds": self._pooled[rows], "time_ids": self._size_ids[rows]},
                return_dict=False,
            )[0]
        return list(output.to(x.dtype).chunk(count))

    def _denoised(self, x: torch.Tensor, sigma: float, output: torch.Tensor) -> torch.Tensor:
        """The clean latents that the UNet's output means, by what the checkpoint was trained to predict."""
        if self._prediction_type == "v_prediction":  # Salimans & Ho 2022
            return (x - output * (sigma * math.sqrt(sigma**2 + 1))) / (sigma**2 + 1)
        if self._prediction_type == "sample":
            return output
        return x - output * sigma

    def _kept(self, denoised: torch.Tensor) -> torch.Tensor:
        return denoised if self._inpainted is None else self._inpainted.kept(denoised, self.share)


def _size_ids(pipe: Any, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """SDXL's conditioning on the picture's size and crop, (1, 5 or 6), for both prompts (Podell et al. 2023,
    section 2.2)."""
    width, height = size
    original = [float(height), float(width), 0.0, 0.0]
    if pipe.config.get("requires_aesthetics_score"):
        scores = NEGATIVE_AESTHETIC_SCORE, AESTHETIC_SCORE
        negative, positive = (torch.tensor([[*original, score]]) for score in scores)
        return negative, positive
    ids = torch.tensor([[*original, float(height), float(width)]])
    return ids, ids


def _guidance_embedding(cfg: float, width: int) -> torch.Tensor:
    """Sinusoidal embedding (1, width) of the guidance strength (Luo et al. 2023, "Latent Consistency Models",
    which subtract 1 from CFG as it is meant here)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000) / (half - 1)))
    angles = (cfg - 1) * 1000 * frequencies[None]
    embedding = torch.cat([angles.sin(), angles.cos()], 1)
    return torch.nn.functional.pad(embedding, (0, width - embedding.shape[1]))
