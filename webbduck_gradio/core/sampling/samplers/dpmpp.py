"""DPM-Solver++ of second order, singlestep: two evaluations of the model in each step.

Lu et al. 2022b, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", algorithm
1 (2S) with r = 1/2, as in k-diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .parts import ancestral_split, moved, noised


def dpmpp_2s_ancestral(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DPM-Solver++(2S) that steps below the next sigma and adds noise up to it (k-diffusion)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    down, up = ancestral_split(sigma, following, options.eta)
    denoised = denoise(state.x, sigma).denoised
    guide = denoised
    if down > 0:
        middle = math.sqrt(sigma * down)
        guide = denoise(moved(state.x, denoised, sigma, middle), middle).denoised
    x = moved(state.x, guide, sigma, down)
    return State(noised(x, up, noise, sigma, following, options), state.step + 1, denoised)


def dpmpp_sde(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DPM-Solver++(2S) with noise added at the middle of the step, too, from one Brownian path
    (k-diffusion)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    if following == 0:
        return State(moved(state.x, denoised, sigma, 0.0), state.step + 1, denoised)
    middle = math.sqrt(sigma * following)
    down, up = ancestral_split(sigma, middle, options.eta)
    halfway = noised(moved(state.x, denoised, sigma, down), up, noise, sigma, middle, options)
    guide = denoise(halfway, middle).denoised
    down, up = ancestral_split(sigma, following, options.eta)
    x = noised(moved(state.x, guide, sigma, down), up, noise, sigma, following, options)
    return State(x, state.step + 1, denoised)
