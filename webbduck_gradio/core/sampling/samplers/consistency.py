"""Samplers of checkpoints and LoRAs that were distilled to jump: LCM and TCD."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from .base import Denoiser, NoiseSource, Options, State


def lcm(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Multistep consistency sampling: to the clean prediction, then new noise (Luo et al. 2023, "Latent
    Consistency Models", algorithm 3).

    The boundary scalings of that paper are left out: at timestep 19, its lowest, they are within 1e-5 of 0
    and 1.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    x = denoised
    if following > 0:
        x = denoised + noise(state.x, sigma, following) * (following * options.s_noise)
    return State(x, state.step + 1, denoised)


def tcd(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Strategic stochastic sampling: denoises to timestep (1 - gamma) * t, then adds noise up to t (Zheng et
    al. 2024, "Trajectory Consistency Distillation", algorithm 4).

    The deeper timestep is not rounded, so that any schedule will do.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    if following == 0:
        return State(denoised, state.step + 1, denoised)
    deeper = level_below(following, options.gamma, options.training_sigmas or sdxl_sigmas())
    x = denoised + (state.x - denoised) * (deeper / sigma)
    if deeper < following:
        added = math.sqrt(following**2 - deeper**2)
        x = x + noise(state.x, sigma, following) * (added * options.s_noise)
    return State(x, state.step + 1, denoised)


def level_below(sigma: float, gamma: float, training: Sequence[float]) -> float:
    """Noise level at (1 - gamma) of the timestep of `sigma`; between timesteps, sigmas are interpolated by
    their logarithms."""
    if gamma <= 0:
        return sigma
    places, logarithms = np.arange(len(training)), np.log(training)
    timestep = (1 - gamma) * np.interp(math.log(sigma), logarithms, places)
    # A level below all trained ones has timestep 0 and stays as it is.
    return min(sigma, math.exp(np.interp(timestep, places, logarithms)))


@cache
def sdxl_sigmas() -> tuple[float, ...]:
    """Noise levels of SDXL's 1000 training timesteps, ascending from 0.029 to 14.6 ("scaled linear")."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    return tuple(np.sqrt((1 - kept) / kept).tolist())
