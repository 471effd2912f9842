"""The ER SDE solver."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .base import Denoiser, NoiseSource, Options, State

NODES, SHARES = np.polynomial.legendre.leggauss(32)
"""Gauss-Legendre quadrature on -1 to 1."""


def er_sde(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """ER-SDE-Solver-3 for extended reverse-time SDEs (Cui et al. 2023, "Elucidating the Solution Space of
    Extended Reverse-Time SDE for Diffusion Models", the VE case and noise scale function 5).

    The slope between the two latest levels stands for that at the latest, as the authors have it: with eta 0
    the method is of second order, in spite of its three stages.

    `eta` raises the part of the noise scale that is beyond the ODE's to a power: 0 gives an ODE solver.
    `memory`: the latest prediction and, from the second step on, its slope over sigma.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    slope = None
    if state.memory:
        slope = (denoised - state.memory[0]) / (sigma - sigmas[state.step - 1])
    memory = (denoised,) if slope is None else (denoised, slope)
    if following == 0:
        return State(denoised, state.step + 1, denoised, memory)
    scale = float(noise_scale(following, options.eta))
    ratio = scale / float(noise_scale(sigma, options.eta))
    x = state.x * ratio + denoised * (1 - ratio)
    if slope is not None:
        length = following - sigma
        tilt, bend = remainders(sigma, following, options.eta)
        x = x.add(slope, alpha=length + scale * tilt)
        if len(state.memory) == 2:
            middle = (sigma - sigmas[state.step - 2]) / 2
            curvature = (slope - state.memory[1]) / middle
            x = x.add(curvature, alpha=length**2 / 2 + scale * bend)
    added = following**2 - (sigma * ratio) ** 2
    if options.eta > 0 and added > 0:
        x = x + noise(state.x, sigma, following) * (math.sqrt(added) * options.s_noise)
    return State(x, state.step + 1, denoised, memory)


def noise_scale(sigma: float | np.ndarray, eta: float) -> float | np.ndarray:
    """The paper's phi, which rules how much noise is drawn anew: more where it grows faster than sigma."""
    return sigma * (np.exp(sigma**0.3) + 10) ** eta


def remainders(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """Integrals of 1 / phi and (s - sigma) / phi over s from `following` to `sigma`."""
    begin, end = math.log(following), math.log(sigma)
    levels = np.exp((begin + end) / 2 + (end - begin) / 2 * NODES)
    measure = SHARES * levels * (end - begin) / 2 / noise_scale(levels, eta)
    return float(measure.sum()), float(measure @ (levels - sigma))
