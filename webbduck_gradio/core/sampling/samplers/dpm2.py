"""DPM2: midpoint methods with the midpoint of log sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State
from .parts import ancestral_split, churned, moved, noised


def dpm_2(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """The midpoint method in sigma, its midpoint that of DPM-Solver-2 (Lu et al. 2022a, algorithm 1), with
    churn if asked (Karras et al. 2022, algorithm 2)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    x, sigma = churned(state.x, sigma, len(sigmas) - 1, noise, options)
    denoised = denoise(x, sigma).denoised
    return State(_by_midpoint(x, denoised, sigma, following, denoise), state.step + 1, denoised)


def dpm_2_ancestral(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """`dpm_2` that steps below the next sigma and adds noise up to it (k-diffusion)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    down, up = ancestral_split(sigma, following, options.eta)
    denoised = denoise(state.x, sigma).denoised
    x = _by_midpoint(state.x, denoised, sigma, down, denoise)
    return State(noised(x, up, noise, sigma, following, options), state.step + 1, denoised)


def _by_midpoint(
    x: torch.Tensor, denoised: torch.Tensor, sigma: float, target: float, denoise: Denoiser
) -> torch.Tensor:
    """Latents at `target` by the slope at the geometric mean of both sigmas; by Euler's method if it is 0."""
    if target == 0:
        return moved(x, denoised, sigma, target)
    middle = math.sqrt(sigma * target)
    halfway = moved(x, denoised, sigma, middle)
    slope = (halfway - denoise(halfway, middle).denoised) / middle
    return x + slope * (target - sigma)
