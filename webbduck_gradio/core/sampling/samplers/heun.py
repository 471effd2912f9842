"""Heun's method, and Heun++."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .parts import churned, moved


def heun(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Heun's method of second order, with churn if asked (Karras et al. 2022, algorithm 2)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    x, sigma = churned(state.x, sigma, len(sigmas) - 1, noise, options)
    denoised = denoise(x, sigma).denoised
    ahead = moved(x, denoised, sigma, following)
    if following == 0:
        return State(ahead, state.step + 1, denoised)
    slope = (x - denoised) / sigma
    slope_ahead = (ahead - denoise(ahead, following).denoised) / following
    return State(x + (slope + slope_ahead) * ((following - sigma) / 2), state.step + 1, denoised)


def heunpp2(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Heun++: slopes of this and the next two sigmas, each weighted by its share of the first sigma of all.

    Forge's and ComfyUI's "HeunPP2", published as code by Carzit (sd-webui-samplers-scheduler, 2023); there is
    no paper. The last step but one has two slopes, the last one.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    left = len(sigmas) - 1 - state.step
    x, sigma = churned(state.x, sigma, len(sigmas) - 1, noise, options)
    denoised = denoise(x, sigma).denoised
    ahead = moved(x, denoised, sigma, following)
    if left == 1:
        return State(ahead, state.step + 1, denoised)
    slope = (x - denoised) / sigma
    slope_ahead = (ahead - denoise(ahead, following).denoised) / following
    slopes = min(left, 3)
    weight_ahead = following / (slopes * sigmas[0])
    if slopes == 2:
        mean = slope * (1 - weight_ahead) + slope_ahead * weight_ahead
    else:
        second = sigmas[state.step + 2]
        beyond = ahead + slope_ahead * (second - following)
        slope_beyond = (beyond - denoise(beyond, second).denoised) / second
        weight_beyond = second / (slopes * sigmas[0])
        mean = slope * (1 - weight_ahead - weight_beyond)
        mean = mean + slope_ahead * weight_ahead + slope_beyond * weight_beyond
    return State(x + mean * (following - sigma), state.step + 1, denoised)
