"""DPM-Solver++ of the multistep kind: one evaluation of the model in each step, and earlier predictions.

Lu et al. 2022b, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", algorithm
2, and its stochastic forms, as in k-diffusion. Time is -log sigma; a step of length h multiplies sigma by
exp(-h). Earlier predictions are in the state's memory; a run that starts without them begins at first order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State
from .parts import moved, noised


def dpmpp_2m(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DPM-Solver++(2M) (algorithm 2). Its last step, down to 0, is of first order."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    guide = denoised
    if state.memory and following > 0:
        ratio = _length(sigmas, state.step - 1) / _length(sigmas, state.step)
        guide = denoised + (denoised - state.memory[-1]) / (2 * ratio)
    return State(moved(state.x, guide, sigma, following), state.step + 1, denoised, (denoised,))


def dpmpp_2m_sde(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """SDE-DPM-Solver++(2M) of the midpoint kind (appendix A)."""
    return _second_order_sde(state, sigmas, denoise, noise, options, is_midpoint=True)


def dpmpp_2m_sde_heun(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """SDE-DPM-Solver++(2M) whose slope is integrated exactly, k-diffusion's "heun"."""
    return _second_order_sde(state, sigmas, denoise, noise, options, is_midpoint=False)


def _second_order_sde(
    state: State,
    sigmas: Sequence[float],
    denoise: Denoiser,
    noise: NoiseSource,
    options: Options,
    *,
    is_midpoint: bool,
) -> State:
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    if following == 0:
        return State(denoised, state.step + 1, denoised, (denoised,))
    length = _length(sigmas, state.step)
    x = _first_order_sde(state.x, denoised, length, options.eta)
    if state.memory:
        slope = (denoised - state.memory[-1]) * (length / _length(sigmas, state.step - 1))
        span = length * (1 + options.eta)
        x = x + slope * (-math.expm1(-span) / 2 if is_midpoint else _phi_2(span))
    x = noised(x, _deviation(following, length, options.eta), noise, sigma, following, options)
    return State(x, state.step + 1, denoised, (denoised,))


def dpmpp_3m_sde(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """SDE-DPM-Solver++ of third order, multistep (k-diffusion).

    The prediction is extrapolated by a parabola through the last three. Half of its curvature is taken, as in
    k-diffusion, whose divided second difference lacks the factor of 2.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    memory = (*state.memory[-1:], denoised)
    if following == 0:
        return State(denoised, state.step + 1, denoised, memory)
    length = _length(sigmas, state.step)
    span = length * (1 + options.eta)
    x = _first_order_sde(state.x, denoised, length, options.eta)
    if state.memory:
        last = _length(sigmas, state.step - 1) / length
        slope = (denoised - state.memory[-1]) / last
        if len(state.memory) > 1:
            before = _length(sigmas, state.step - 2) / length
            bend = (slope - (state.memory[-1] - state.memory[-2]) / before) / (last + before)
            slope = slope + bend * last
            x = x - bend * (_phi_2(span) / span - 0.5)
        x = x + slope * _phi_2(span)
    x = noised(x, _deviation(following, length, options.eta), noise, sigma, following, options)
    return State(x, state.step + 1, denoised, memory)


def _length(sigmas: Sequence[float], step: int) -> float:
    """The length h of a step that does not end in 0."""
    return math.log(sigmas[step] / sigmas[step + 1])


def _first_order_sde(x: torch.Tensor, denoised: torch.Tensor, length: float, eta: float) -> torch.Tensor:
    """The step of first order of the SDE, without its noise."""
    return denoised + (x - denoised) * math.exp(-length * (1 + eta))


def _deviation(following: float, length: float, eta: float) -> float:
    """Standard deviation of the noise of the SDE's step."""
    return following * math.sqrt(-math.expm1(-2 * eta * length))


def _phi_2(span: float) -> float:
    """The integral of exp(-span (1 - s)) * span * s over s from 0 to 1: the weight of a slope."""
    return 1 + math.expm1(-span) / span
