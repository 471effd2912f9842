"""Euler and Euler ancestral with CFG++.

CFG++ wants a guidance scale of 0 to 1, as `denoise` applies it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .ddim import renoised


def euler_cfgpp(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Euler's method to the guided prediction along the unconditional slope (Chung et al. 2024, "CFG++:
    Manifold-constrained Classifier Free Guidance for Diffusion Models")."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised, unconditional = denoise(state.x, sigma)
    x = renoised(state.x, denoised, unconditional, sigma, following, noise, 0.0, options.s_noise)
    return State(x, state.step + 1, denoised)


def euler_ancestral_cfgpp(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """The same with a share of the noise drawn anew: `eta`."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised, unconditional = denoise(state.x, sigma)
    x = renoised(state.x, denoised, unconditional, sigma, following, noise, options.eta, options.s_noise)
    return State(x, state.step + 1, denoised)
