"""PLMS."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .ipndm import combined


def plms(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Pseudo linear multistep with an improved Euler step at the start, which evaluates the model
    twice (Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds")."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    slope = (state.x - denoised) / sigma
    memory = (*state.memory, slope)[-options.slopes :]
    if following == 0:
        return State(denoised, state.step + 1, denoised, memory)
    mean = combined(memory)
    if not state.memory:
        ahead = state.x + slope * (following - sigma)
        mean = (slope + (ahead - denoise(ahead, following).denoised) / following) / 2
    return State(state.x + mean * (following - sigma), state.step + 1, denoised, memory)
