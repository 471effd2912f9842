"""Restart sampling.

Xu et al. 2023, "Restart Sampling for Improving Generative Processes", algorithm 1, with AUTOMATIC1111's
choice of segments.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .base import Denoiser, NoiseSource, Options, Restart, State
from .heun import heun
from .parts import noised


def restart_plan(sigmas: Sequence[float], options: Options) -> Sequence[float]:
    """The sigmas of a run with its returns to more noise, which are the places where sigma rises."""
    restarts = options.restarts
    if restarts is None:
        sigmas, restarts = _automatic(sigmas)
    # Of two restarts from the same sigma, the later one counts.
    returns = {_nearest(sigmas, each.sigma_min): each for each in restarts}
    planned = [sigmas[0]]
    for index, sigma in enumerate(sigmas[1:], 1):
        planned.append(sigma)
        if (each := returns.get(index)) is None or sigma == 0:
            continue
        top = sigmas[_nearest(sigmas, each.sigma_max)]
        if top > sigma:
            planned += [top, *_karras(each.steps + 1, sigma, top)[1:-1], sigma] * each.times
    return planned


def _automatic(sigmas: Sequence[float]) -> tuple[Sequence[float], tuple[Restart, ...]]:
    """AUTOMATIC1111's segments. They are taken out of the number of steps, and the others are laid by Karras'
    schedule, whatever the schedule was."""
    steps = len(sigmas) - 1
    if steps < 20:
        return sigmas, ()
    length, times = (9, 1) if steps < 36 else (steps // 4, 2)
    laid = [*_karras(steps - length * times, sigmas[-2], sigmas[0]), 0.0]
    return laid, (Restart(sigma_min=0.1, steps=length, times=times, sigma_max=2.0),)


def restart(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """Heun's method; where sigma rises, noise is added before the step, which then counts as two. `sigmas`:
    of `restart_plan`."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    if following > sigma:
        deviation = math.sqrt(following**2 - sigma**2)
        x = noised(state.x, deviation, noise, sigma, following, options)
        state = replace(state, x=x, step=state.step + 1)
    return heun(state, sigmas, denoise, noise, replace(options, s_churn=0.0))


def rises(sigmas: Sequence[float]) -> int:
    """Number of returns to more noise in a plan; the model takes this many steps fewer than it has."""
    return sum(following > sigma for sigma, following in itertools.pairwise(sigmas))


def _nearest(sigmas: Sequence[float], wanted: float) -> int:
    return min(range(len(sigmas)), key=lambda index: abs(sigmas[index] - wanted))


def _karras(count: int, low: float, high: float) -> list[float]:
    """Karras et al. 2022, equation 5, with rho 7."""
    return [float(root) ** 7 for root in np.linspace(high ** (1 / 7), low ** (1 / 7), count)]
