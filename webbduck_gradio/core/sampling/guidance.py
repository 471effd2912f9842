"""Guidance: from the UNet's predictions with and without the prompt to the one that a sampler follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...request import GenerationRequest
from ...request.samplers import sampler_named


@dataclass(frozen=True, kw_only=True)
class FreeU:
    """Factors of the UNet's first two upward stages (Si et al. 2023, "FreeU: Free Lunch in Diffusion U-Net").
    1 leaves them as they are.
    """

    b1: float
    """Of half of the channels that come from below, in the first stage."""
    b2: float
    """The same in the second."""
    s1: float
    """Of the lowest frequencies of the skip connections, in the first stage."""
    s2: float
    """The same in the second."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How the predictions are combined. All but `cfg` is off by default."""

    cfg: float
    """Scale of classifier-free guidance (Ho & Salimans 2022). At 1 it is off, and the negative prompt is not
    evaluated."""
    rescale: float = 0.0
    """0 to 1: how far the guided prediction is brought back to the deviation of the conditional one; see
    `rescaled`."""
    start: float = 0.0
    """Share of the steps, 0 to 1, from which guidance acts (Kynkäänniemi et al. 2024, "Applying Guidance in a
    Limited Interval Improves Sample and Distribution Quality in Diffusion Models"). Before it and after `end`
    the prediction with the prompt is taken as it is, and nothing else is evaluated."""
    end: float = 1.0
    """Share of the steps at which guidance ends."""
    min_sigma: float = 0.0
    """Below this sigma the negative prompt is left out of every second evaluation: AUTOMATIC1111's "Negative
    Guidance minimum sigma"."""
    pag_scale: float = 0.0
    """Scale of perturbed-attention guidance: away from a prediction without self-attention in the UNet's
    middle block (Ahn et al. 2024, "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance")."""
    slg_scale: float = 0.0
    """Scale of skip-layer guidance: away from a prediction without the middle block's transformer. The same
    formula with another perturbation (Hyung et al. 2024, "Spatiotemporal Skip Guidance")."""
    freeu: FreeU | None = None
    mimic_cfg: float | None = None
    """A lower CFG whose range the guided prediction is brought back to; see `thresholded`."""
    mimic_percentile: float = 1.0
    """0 to 1: the share of the values that are not clamped then."""
    weights: tuple[float, ...] = (1.0,)
    """Of the prompts that AND joins; see `joined`."""

    @property
    def is_joined(self) -> bool:
        return self.weights != (1.0,)

    @property
    def has_negative(self) -> bool:
        """Whether the negative prompt is evaluated. Joined prompts are added to it, also at CFG 1."""
        return self.cfg != 1 or self.is_joined

    @property
    def rows(self) -> int:
        """Rows of the UNet's batch for each image, at most."""
        return self.has_negative + len(self.weights) * (1 + (self.pag_scale != 0) + (self.slg_scale != 0))

    def acts_at(self, share: float) -> bool:
        """Whether the step that begins at this share of all steps, 0 to 1, is guided."""
        return self.start <= share and (share < self.end or self.end >= 1)

    def skips_negative(self, sigma: float, evaluation: int) -> bool:
        """Whether the negative prompt is left out. `evaluation`: how many this pass has had."""
        return sigma < self.min_sigma and evaluation % 2 == 1


def guidance_of(request: GenerationRequest) -> Guidance:
    """The guidance that a request asks for.

    At CFG 1 its range, rescaling and mimicked CFG have no meaning; perturbations act in all steps then. CFG++
    samplers take all scales smaller, since their steps add the whole of what guidance changes.
    """
    factor = sampler_named(request.sampler).cfg_factor
    freeu = FreeU(b1=request.freeu_b1, b2=request.freeu_b2, s1=request.freeu_s1, s2=request.freeu_s2)
    unguided = Guidance(
        cfg=1.0,
        pag_scale=request.pag_scale * factor,
        slg_scale=request.slg_scale * factor,
        freeu=freeu if request.freeu == "on" else None,
    )
    if request.cfg == 1:
        return unguided
    cfg = request.cfg * factor
    return replace(
        unguided,
        cfg=math.nextafter(1, 2) if cfg == 1 else cfg,  # exactly 1 means no guidance
        rescale=request.cfg_rescale,
        start=request.guidance_start,
        end=request.guidance_end,
        min_sigma=request.ngms,
        mimic_cfg=None if request.mimic_cfg is None else request.mimic_cfg * factor,
        mimic_percentile=request.mimic_percentile,
    )


def rows_of(request: GenerationRequest, weights: Sequence[tuple[float, ...]]) -> int:
    """Rows of the UNet's batch for each image, in the pass that has most. `weights`: of the joined prompts of
    the first pass and, if there is one, of the hires pass."""
    passes = [request, request.for_hires_pass()] if request.has_hires else [request]
    return max(
        replace(guidance_of(each), weights=own).rows for each, own in zip(passes, weights, strict=True)
    )


def joined(predictions: Sequence[torch.Tensor], weights: Sequence[float], base: torch.Tensor) -> torch.Tensor:
    """The prediction of several prompts together: base + the sum of weight * (prediction - base), `base`
    being that of the negative prompt (Liu et al. 2022, "Compositional Visual Generation with Composable
    Diffusion Models", equation 11)."""
    if len(predictions) == 1 and weights[0] == 1:
        return predictions[0]
    whole = base
    for prediction, weight in zip(predictions, weights, strict=True):
        whole = whole + (prediction - base) * weight
    return whole


def combined(
    negative: torch.Tensor | None,
    positive: torch.Tensor,
    perturbed: Sequence[tuple[torch.Tensor, float]],
    cfg: float,
) -> torch.Tensor:
    """The guided prediction: negative + cfg * (positive - negative), and for each perturbed prediction its
    scale times (positive - perturbed) more (Ahn et al. 2024). Without `negative`, `positive` takes the place
    of the first sum."""
    guided = positive if negative is None else negative + (positive - negative) * cfg
    for prediction, scale in perturbed:
        guided = guided + (positive - prediction) * scale
    return guided


def rescaled(guided: torch.Tensor, positive: torch.Tensor, share: float) -> torch.Tensor:
    """`guided` mixed with itself at the deviation that `positive` has over each image as a whole (Lin et al.
    2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4, `share` being phi).

    Both are what the UNet puts out, noise or velocity, as in the paper and in diffusers' `guidance_rescale`.
    """
    dims = tuple(range(1, guided.ndim))
    ratio = positive.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
    return guided * (share * ratio + (1 - share))


def thresholded(guided: torch.Tensor, mimicked: torch.Tensor, percentile: float) -> torch.Tensor:
    """`guided`, clean latents (n, C, h, w), with the range of `mimicked`, those of a lower CFG.

    For each channel of each image, as distances from its mean: values beyond the percentile are clamped to
    it, and then all are scaled until the largest is that of `mimicked`, unless they are below it anyway. This
    is dynamic thresholding (Saharia et al. 2022, "Photorealistic Text-to-Image Diffusion Models with Deep
    Language Understanding", section 2.3) for latents, which unlike pixels have no fixed range.
    """
    mean = guided.mean((2, 3), keepdim=True)
    apart = guided - mean
    limit = (mimicked - mimicked.mean((2, 3), keepdim=True)).abs().amax((2, 3), keepdim=True)
    bound = apart.abs().flatten(2).quantile(percentile, 2)[:, :, None, None].maximum(limit)
    tiny = torch.finfo(bound.dtype).tiny  # where all values of a channel are equal
    return mean + apart.clamp(-bound, bound) * (limit / bound.clamp_min(tiny))
