"""The linear multistep method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Denoiser, NoiseSource, Options, State


def lms(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Adams-Bashforth's method over unequal steps of sigma (k-diffusion; Hairer et al. 1993, "Solving
    Ordinary Differential Equations I", section III.5). Its order grows with the steps, up to `slopes`."""
    sigma = sigmas[state.step]
    denoised = denoise(state.x, sigma).denoised
    slopes = (*state.memory, (state.x - denoised) / sigma)[-options.slopes :]
    x = state.x
    for slope, weight in zip(slopes, _weights(sigmas, state.step, len(slopes)), strict=True):
        x = x + slope * weight
    return State(x, state.step + 1, denoised, slopes)


def _weights(sigmas: Sequence[float], step: int, order: int) -> list[float]:
    """Integrals, over the step, of the polynomials that are 1 at one of the last sigmas and 0 at the others;
    for the oldest first."""
    known = sigmas[step - order + 1 : step + 1]
    # Gauss's quadrature with this many nodes is exact for polynomials of degree 2 * order - 1.
    nodes, shares = np.polynomial.legendre.leggauss(order)
    half = (sigmas[step + 1] - sigmas[step]) / 2
    places = sigmas[step] + half * (1 + nodes)
    weights = []
    for own in range(order):
        others = [sigma for index, sigma in enumerate(known) if index != own]
        values = np.ones_like(places)
        for other in others:
            values = values * (places - other) / (known[own] - other)
        weights.append(float(half * (shares * values).sum()))
    return weights
