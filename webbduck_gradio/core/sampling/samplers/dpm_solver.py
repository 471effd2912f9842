"""DPM-Solver: "DPM fast" and "DPM adaptive".

Lu et al. 2022a, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10
Steps", with k-diffusion's ancestral noise. Time is -log sigma. Both end at the last sigma before the zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State
from .parts import ancestral_split, noised

FIRST_LENGTH = 0.05
"""Length of the first step that `dpm_adaptive` tries (section 4.3 and appendix C)."""
SAFETY = 0.81
"""`dpm_adaptive` accepts a step if it proposes no less than this factor for the next one."""


def fast_plan(sigmas: Sequence[float], options: Options) -> Sequence[float]:
    """For as many evaluations of the model as the schedule has steps, the sigma of each, and of the end.
    A schedule of one step stays as it is.

    The steps are equally long in log sigma and of third order, except the last one or two, so that exactly
    these evaluations are spent (section 3.3). With eta above 0 the evaluations within a step are at lower
    sigmas.
    """
    if len(sigmas) == 2:
        return sigmas
    evaluations = len(sigmas) - 1
    orders = _orders(evaluations)
    start, end = _time(sigmas[0]), _time(_last(sigmas))
    step = (end - start) / len(orders)
    times = [
        start + step * (index + part / order) for index, order in enumerate(orders) for part in range(order)
    ]
    return [sigmas[0], *(math.exp(-time) for time in times[1:]), _last(sigmas)]


def _orders(evaluations: int) -> list[int]:
    whole, rest = divmod(evaluations, 3)
    return [3] * whole + [rest] if rest else [3] * (whole - 1) + [2, 1]


def _order(evaluations: int, done: int) -> int:
    """Order of the step after `done` evaluations."""
    orders = _orders(evaluations)
    starts = [0, *itertools.accumulate(orders)]
    return orders[starts.index(done)]


def dpm_fast(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DPM-Solver-fast (section 3.3). Each step of order k counts as k steps. `sigmas`: of `fast_plan`."""
    order = _order(len(sigmas) - 1, state.step)
    sigma, following = sigmas[state.step], sigmas[state.step + order]
    target, up = _split(sigma, following, sigmas[-1], options.eta)
    slopes = _Slopes(state.x, sigma, target, denoise)
    x = noised(slopes.advanced(order), up, noise, sigma, following, options)
    return State(x, state.step + order, slopes.denoised)


def dpm_adaptive(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DPM-Solver-23 with an adaptive step size (appendix C).

    Of the schedule only both ends count; for a schedule of one step it is Euler's method. A step that is
    rejected counts as a step, too. The state's numbers are the time and the length to try next.
    """
    if len(sigmas) == 2:
        denoised = denoise(state.x, sigmas[0]).denoised
        return State(denoised, state.step + 1, denoised, (), (_time(_last(sigmas)), 0.0))
    time, length = state.numbers or (_time(sigmas[0]), FIRST_LENGTH)
    before = state.memory[0] if state.memory else state.x
    end = _time(_last(sigmas))
    next_time = min(end, time + length)
    sigma, following = math.exp(-time), math.exp(-next_time)
    target, up = _split(sigma, following, _last(sigmas), options.eta)
    slopes = _Slopes(state.x, sigma, target, denoise)
    low, high = slopes.advanced(2, 1 / 3), slopes.advanced(3)
    allowed = torch.maximum(low.abs(), before.abs()).mul_(options.rtol).clamp_(min=options.atol)
    error = float(((low - high) / allowed).square().mean().sqrt())
    # With noise the paths are rougher, and the step size follows the error more quickly.
    factor = (1 / (error + 1e-8)) ** (1 / (1.5 if options.eta else 3))
    factor = 1 + math.atan(factor - 1)
    x = state.x
    if factor >= SAFETY:
        x, before, time = noised(high, up, noise, sigma, following, options), low, next_time
    return State(x, state.step + 1, slopes.denoised, (before,), (time, length * factor))


def adaptive_is_finished(state: State, sigmas: Sequence[float]) -> bool:
    """Whether `dpm_adaptive` has arrived at the last sigma before the zero."""
    return bool(state.numbers) and state.numbers[0] >= _time(_last(sigmas)) - 1e-5


def adaptive_sigma(state: State, sigmas: Sequence[float]) -> float:
    """The sigma of the latents of `dpm_adaptive`."""
    return math.exp(-state.numbers[0]) if state.numbers else sigmas[0]


class _Slopes:
    """The evaluations of one step from `sigma` to `target`; orders 2 and 3 share those that they have in
    common."""

    def __init__(self, x: torch.Tensor, sigma: float, target: float, denoise: Denoiser) -> None:
        self.x, self.sigma, self.target, self.denoise = x, sigma, target, denoise
        self.denoised = denoise(x, sigma).denoised
        self.first = (x - self.denoised) / sigma
        self._differences: dict[float, torch.Tensor] = {}

    def advanced(self, order: int, share: float = 1 / 2) -> torch.Tensor:
        """Latents at `target` by DPM-Solver-1, -2 (intermediate point after `share` of the step) or -3 (with
        1/3 and 2/3): equations 3.7, and algorithms 1 and 2 (appendix B)."""
        ahead = self.x + self.first * (self.target - self.sigma)
        if order == 1:
            return ahead
        if order == 2:
            return ahead + self._difference(share) * ((self.target - self.sigma) / (2 * share))
        second = self._after(2 / 3) + self._difference(1 / 3) * (self._bend(2 / 3) * 2)
        return ahead + self._difference_at(2 / 3, second) * (self._bend(1) * 3 / 2)

    def _after(self, share: float) -> torch.Tensor:
        return self.x + self.first * (self._sigma(share) - self.sigma)

    def _sigma(self, share: float) -> float:
        return self.sigma ** (1 - share) * self.target**share

    def _bend(self, share: float) -> float:
        """Weight of a change of slope over a part of the step."""
        sigma = self._sigma(share)
        return sigma - (self.sigma - sigma) / math.log(self.sigma / sigma)

    def _difference(self, share: float) -> torch.Tensor:
        """Slope after a share of the step, reached by first order, less the first slope."""
        if share not in self._differences:
            self._differences[share] = self._difference_at(share, self._after(share))
        return self._differences[share]

    def _difference_at(self, share: float, x: torch.Tensor) -> torch.Tensor:
        sigma = self._sigma(share)
        return (x - self.denoise(x, sigma).denoised) / sigma - self.first


def _split(sigma: float, following: float, lowest: float, eta: float) -> tuple[float, float]:
    """`ancestral_split` whose step without noise does not go below the end of the run."""
    if not eta:
        return following, 0.0
    target = max(ancestral_split(sigma, following, eta)[0], lowest)
    return target, math.sqrt(max(0.0, following**2 - target**2))


def _last(sigmas: Sequence[float]) -> float:
    """The last sigma before the zero, if there is a zero."""
    return sigmas[-1] or sigmas[-2]


def _time(sigma: float) -> float:
    return -math.log(sigma)
