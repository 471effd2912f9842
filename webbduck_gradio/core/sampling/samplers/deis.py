"""DEIS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .base import Denoiser, NoiseSource, Options, State

ORDER = 3
NODES, SHARES = np.polynomial.legendre.leggauss(32)
"""Gauss-Legendre quadrature on -1 to 1."""


def deis(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """tAB-DEIS of order 3: the predicted noise is extrapolated by a polynomial in a VP SDE's time (Zhang,
    Chen 2022, "Fast Sampling of Diffusion Models with Exponential Integrator"). ComfyUI's DEIS."""
    return extrapolated(state, sigmas, denoise, vp_time)


def extrapolated(
    state: State, sigmas: Sequence[float], denoise: Denoiser, time: Callable[[float], float]
) -> State:
    """One step with the predicted noise extrapolated by a polynomial in `time`, a function of sigma."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    memory = (*state.memory[1 - ORDER :], (state.x - denoised) / sigma)
    if following == 0:
        return State(denoised, state.step + 1, denoised, memory)
    known = sigmas[state.step + 1 - len(memory) : state.step + 1]
    x = state.x
    for slope, weight in zip(memory, weights(known, following, time), strict=True):
        x = x.add(slope, alpha=weight)
    return State(x, state.step + 1, denoised, memory)


def weights(known: Sequence[float], following: float, time: Callable[[float], float]) -> list[float]:
    """Integrals over sigma, from the last of `known` to `following`, of the Lagrange polynomials in time that
    are 1 at one of `known` and 0 at the others."""
    begin, end = math.log(known[-1]), math.log(following)
    levels = np.exp((begin + end) / 2 + (end - begin) / 2 * NODES)
    measure = SHARES * levels * (end - begin) / 2
    times = np.array([time(float(level)) for level in levels])
    spots = [time(each) for each in known]
    found = []
    for spot in spots:
        factors = [(times - other) / (spot - other) for other in spots if other != spot]
        found.append(float(measure @ np.prod(factors, axis=0)) if factors else following - known[-1])
    return found


BETA_RISE = 2 * (math.log1p(0.002**2) / 0.001 - math.log1p(80**2)) / (0.001 - 1)
BETA_MIN = math.log1p(80**2) - BETA_RISE / 2
"""Of the VP SDE whose beta rises linearly and whose sigma is 0.002 at time 0.001 and 80 at time 1."""


def vp_time(sigma: float) -> float:
    """Time at which that SDE has noise level `sigma`, any from 0 up (Karras et al. 2022, table 1)."""
    return (math.sqrt(BETA_MIN**2 + 2 * BETA_RISE * math.log1p(sigma**2)) - BETA_MIN) / BETA_RISE
