"""Euler's method."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State


def euler(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Euler's method, with churn if asked (Karras et al. 2022, algorithm 2 without the correction)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    x, sigma = churned(state.x, sigma, len(sigmas) - 1, noise, options)
    denoised = denoise(x, sigma).denoised
    slope = (x - denoised) / sigma
    return State(x + slope * (following - sigma), state.step + 1, denoised)


def churned(
    x: torch.Tensor, sigma: float, steps: int, noise: NoiseSource, options: Options
) -> tuple[torch.Tensor, float]:
    """Latents and sigma with the step's share of `s_churn` added. Without churn no noise is asked for."""
    active = options.s_churn > 0 and options.s_tmin <= sigma <= options.s_tmax
    gamma = min(options.s_churn / steps, math.sqrt(2) - 1) if active else 0.0
    if gamma == 0:
        return x, sigma
    raised = sigma * (gamma + 1)
    return x + noise(x, sigma, raised) * options.s_noise * math.sqrt(raised**2 - sigma**2), raised
