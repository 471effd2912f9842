"""Exponential integrators of the diffusion ODE: what UniPC and RES share.

With t = -log sigma the ODE is dx/dt = D(x, t) - x, D being the clean prediction. A step of length h is
therefore exact up to the integral of D times exp(t - end), for which D is interpolated by a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch


def moments(h: float, count: int) -> list[float]:
    """Integrals of h * exp(-h * (1 - u)) * u**j over u from 0 to 1, for j from 0 up to `count` - 1. h > 0."""
    found = [-math.expm1(-h)]
    for power in range(1, count):
        found.append(1 - power / h * found[-1])
    return found


def weights(h: float, places: Sequence[float]) -> list[float]:
    """Weights of D(place) - D(0) in a step of length h, exact for polynomials of degree len(places).

    `places`: in units of the step, 0 = its start, 1 = its end; those of earlier predictions are negative.
    """
    powers = np.arange(1, len(places) + 1)
    system = np.array(places)[None, :] ** powers[:, None]
    solution: list[float] = np.linalg.solve(system, np.array(moments(h, len(places) + 1)[1:])).tolist()
    return solution


def place(sigma: float, begin: float, end: float) -> float:
    """Where `sigma` lies in the step from `begin` to `end`, as `weights` counts."""
    return math.log(begin / sigma) / math.log(begin / end)


def stepped(
    x: torch.Tensor,
    denoised: torch.Tensor,
    others: Sequence[torch.Tensor],
    weighting: Sequence[float],
    begin: float,
    end: float,
) -> torch.Tensor:
    """Latents at `end`, from those at `begin`, the prediction there and `others` with their weights."""
    ratio = end / begin
    total = denoised * (1 - ratio - sum(weighting))
    for other, weight in zip(others, weighting, strict=True):
        total = total.add(other, alpha=weight)
    return total.add(x, alpha=ratio)
