"""iPNDM, and the extrapolation that it shares with PLMS."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of slopes at evenly spaced points, newest first, by the number of slopes."""


def ipndm(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """iPNDM: PNDM's linear multistep without its expensive first steps (Zhang, Chen 2022, "Fast
    Sampling of Diffusion Models with Exponential Integrator", section on iPNDM; Liu et al. 2022)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    slope = (state.x - denoised) / sigma
    memory = (*state.memory, slope)[-options.slopes :]
    x = denoised if following == 0 else state.x + combined(memory) * (following - sigma)
    return State(x, state.step + 1, denoised, memory)


def combined(slopes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean slope over the next step, by Adams-Bashforth from one to four slopes, newest last.

    The weights are those of even steps whatever the sigmas are, as in the pseudo-numerical methods.
    """
    weights = ADAMS_BASHFORTH[len(slopes) - 1]
    total = slopes[-1] * weights[0]
    for slope, weight in zip(reversed(slopes[:-1]), weights[1:], strict=True):
        total = total.add(slope, alpha=weight)
    return total
