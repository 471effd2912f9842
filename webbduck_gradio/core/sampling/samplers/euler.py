"""Euler's method, and its ancestral form."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Denoiser, NoiseSource, Options, State
from .parts import ancestral_split, churned, moved, noised


def euler(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Euler's method, with churn if asked (Karras et al. 2022, algorithm 2 without the correction)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    x, sigma = churned(state.x, sigma, len(sigmas) - 1, noise, options)
    denoised = denoise(x, sigma).denoised
    return State(moved(x, denoised, sigma, following), state.step + 1, denoised)


def euler_ancestral(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Euler's method that steps below the next sigma and adds noise up to it (k-diffusion; the stochastic
    step of Song et al. 2021, "Denoising Diffusion Implicit Models", equation 12)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    down, up = ancestral_split(sigma, following, options.eta)
    denoised = denoise(state.x, sigma).denoised
    x = moved(state.x, denoised, sigma, down)
    return State(noised(x, up, noise, sigma, following, options), state.step + 1, denoised)
