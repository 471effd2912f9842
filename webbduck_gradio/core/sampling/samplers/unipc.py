"""UniPC."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State
from .exponential import place, stepped, weights

ORDER = 3


def unipc(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """UniPC, multistep, predicting clean latents, with the paper's B2(h) = exp(h) - 1 (Zhao et al. 2023,
    "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models").

    Order 3; lower at the start, for want of predictions, and in the last steps, where it would overshoot.
    Each step corrects the latents with the prediction that they led to, then predicts the next ones.
    `memory`: the latents, corrected, that the latest step began with; up to three predictions, newest last.
    """
    step, total = state.step, len(sigmas) - 1
    sigma, following = sigmas[step], sigmas[step + 1]
    denoised = denoise(state.x, sigma).denoised
    before = state.memory[1:]
    x = state.x
    if before:
        order = min(ORDER, len(before), total - step + 1)
        x = _corrected(state.memory[0], denoised, before[-order:], sigmas[step - order : step + 1])
    memory = (x, *before[1 - ORDER :], denoised)
    if following == 0:
        return State(denoised, step + 1, denoised, memory)
    order = min(ORDER, len(memory) - 1, total - step)
    x = _predicted(x, memory[-order:], sigmas[step - order + 1 : step + 2])
    return State(x, step + 1, denoised, memory)


def _predicted(x: torch.Tensor, predictions: Sequence[torch.Tensor], sigmas: Sequence[float]) -> torch.Tensor:
    """Latents at the last sigma (UniP). `x`: those at the last but one. `predictions`: at the sigmas before
    the last, newest last."""
    *earlier, begin, end = sigmas
    h, places = math.log(begin / end), [place(each, begin, end) for each in earlier]
    # With a single weight the paper takes one half of B2, which keeps the order.
    weighting = [-math.expm1(-h) / (2 * places[0])] if len(places) == 1 else weights(h, places)
    return stepped(x, predictions[-1], predictions[:-1], weighting, begin, end)


def _corrected(
    x: torch.Tensor, arrived: torch.Tensor, predictions: Sequence[torch.Tensor], sigmas: Sequence[float]
) -> torch.Tensor:
    """Latents at the last sigma once more (UniC), now that the prediction there is known: `arrived`. `x`: the
    latents at the last sigma but one. `predictions`: at the sigmas before the last, newest last."""
    *earlier, begin, end = sigmas
    h, places = math.log(begin / end), [place(each, begin, end) for each in earlier]
    weighting = weights(h, [*places, 1.0]) if places else [-math.expm1(-h) / 2]
    return stepped(x, predictions[-1], [*predictions[:-1], arrived], weighting, begin, end)
