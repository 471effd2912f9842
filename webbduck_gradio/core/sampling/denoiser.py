"""The checkpoint's UNet as the denoiser of the samplers: scaling, conditioning, guidance, kept parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ..checkpoint_cache import LoadedCheckpoint
from ..prompts import Embeddings
from .model_sigmas import ModelSigmas
from .samplers.base import Prediction

AESTHETIC_SCORE, NEGATIVE_AESTHETIC_SCORE = 6.0, 2.5
"""What SDXL's refiner is conditioned on beside the size, as its authors do (Podell et al. 2023, "SDXL")."""


@dataclass(frozen=True)
class ModelContext:
    """A loaded checkpoint with the prompt embeddings for it."""

    loaded: LoadedCheckpoint
    embeddings: Embeddings


@dataclass(frozen=True)
class Inpainted:
    """What an inpainted picture keeps. `latents`: the input picture's; `mask`: 1 where it is inpainted, 0
    where it is kept. (1, 4, h, w) and (1, 1, h, w), float32.

    `masked`: latents of the input picture with the masked part blanked out, which the UNets of inpainting
    checkpoints are given at every step; None for others.
    """

    latents: torch.Tensor
    mask: torch.Tensor
    masked: torch.Tensor | None = None

    def to(self, device: torch.device) -> Inpainted:
        """The same on another device."""
        masked = None if self.masked is None else self.masked.to(device)
        return Inpainted(self.latents.to(device), self.mask.to(device), masked)


class UNetDenoiser:
    """One evaluation of a checkpoint's UNet, with classifier-free guidance (Ho & Salimans 2022).

    A `Denoiser` of the samplers: latents (1, 4, h, w) in float32 in, predictions of the same shape out. The
    UNet computes in its own precision.
    """

    def __init__(
        self,
        model: ModelContext,
        sigmas: ModelSigmas,
        cfg: float,
        size: tuple[int, int],
        inpainted: Inpainted | None = None,
    ):
        """`sigmas`: those that the latents' noise follows. `cfg`: 1 disables guidance. `size`: width and
        height in pixels."""
        pipe, given = model.loaded.pipe, model.embeddings
        self._unet, self._sigmas, self._inpainted = pipe.unet, sigmas, inpainted
        self._device, self._dtype = model.loaded.device, pipe.unet.dtype
        self._prediction_type = model.loaded.scheduler["prediction_type"]
        # Checkpoints distilled with guidance (LCM) take its strength as an input of the UNet.
        width = pipe.unet.config.time_cond_proj_dim
        self._cfg = 1.0 if width else cfg
        self._strength = _guidance_embedding(cfg, width).to(self._device, self._dtype) if width else None
        pairs = [(given.negative, given.prompt), (given.negative_pooled, given.pooled), _size_ids(pipe, size)]
        context, pooled, size_ids = (
            (torch.cat(pair) if self._cfg != 1 else pair[1]).to(self._device, self._dtype) for pair in pairs
        )
        self._conditioning = {
            "encoder_hidden_states": context,
            "added_cond_kwargs": {"text_embeds": pooled, "time_ids": size_ids},
            "timestep_cond": self._strength,
        }

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, sigma: float) -> Prediction:
        scale = 1 / math.sqrt(sigma**2 + 1)
        sample = (x * scale).to(self._dtype)
        if self._inpainted is not None and self._inpainted.masked is not None:
            given = (sample, self._inpainted.mask.to(sample), self._inpainted.masked.to(sample))
            sample = torch.cat(given, 1)
        if self._cfg != 1:
            sample = torch.cat([sample, sample])
        timestep = torch.tensor(self._sigmas.timestep(sigma), dtype=torch.float32, device=self._device)
        output = self._unet(sample, timestep, **self._conditioning, return_dict=False)[0].to(x.dtype)
        if self._cfg == 1:
            denoised = unconditional = self._kept(self._denoised(x, sigma, output))
            return Prediction(denoised, unconditional)
        negative, positive = output.chunk(2)
        guided = negative + (positive - negative) * self._cfg
        return Prediction(
            self._kept(self._denoised(x, sigma, guided)), self._kept(self._denoised(x, sigma, negative))
        )

    def _denoised(self, x: torch.Tensor, sigma: float, output: torch.Tensor) -> torch.Tensor:
        """The clean latents that the UNet's output means, by what the checkpoint was trained to predict."""
        if self._prediction_type == "v_prediction":  # Salimans & Ho 2022
            return (x - output * (sigma * math.sqrt(sigma**2 + 1))) / (sigma**2 + 1)
        if self._prediction_type == "sample":
            return output
        return x - output * sigma

    def _kept(self, denoised: torch.Tensor) -> torch.Tensor:
        """The prediction with the kept part replaced by what it is known to be, as AUTOMATIC1111 does."""
        if self._inpainted is None:
            return denoised
        return self._inpainted.latents + (denoised - self._inpainted.latents) * self._inpainted.mask


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
