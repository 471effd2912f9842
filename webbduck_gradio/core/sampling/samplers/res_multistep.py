"""RES, the multistep kind."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .exponential import place, stepped, weights


def res_multistep(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Refined exponential solver, multistep, of order 2, deterministic (Zhang et al. 2023, "Improved Order
    Analysis and Design of Exponential Integrator for Diffusion Models Sampling", algorithm 2)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    if following == 0:
        return State(denoised, state.step + 1, denoised, (denoised,))
    weighting: list[float] = []
    if state.memory:
        length = math.log(sigma / following)
        weighting = weights(length, [place(sigmas[state.step - 1], sigma, following)])
    x = stepped(state.x, denoised, state.memory, weighting, sigma, following)
    return State(x, state.step + 1, denoised, (denoised,))
