"""Perfect models of known pictures, and noise, for tests of samplers without a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy
import torch

from webbduck_gradio.core.sampling.samplers.base import (
    Denoiser,
    Options,
    Prediction,
    Solver,
    State,
    finished,
)
from webbduck_gradio.core.sampling.samplers.deis import extrapolated
from webbduck_gradio.core.sampling.samplers.families import FAMILIES

TRIED = {
    **FAMILIES,
    "DEIS log rho": Solver(
        step=lambda state, sigmas, denoise, noise, options: extrapolated(state, sigmas, denoise, math.log)
    ),
}
"""The families, and what diffusers calls DEIS."""
STILL = Options(eta=0, eta_ddim=0, gamma=0)
"""Without noise of their own."""
LIVELY = Options(eta=0.8, eta_ddim=0.6, gamma=0.4)


def two_bells(x: torch.Tensor, sigma: float) -> Prediction:
    """What a perfect model takes x to be where pictures are -1 or 0.8, give or take 0.2. `unconditional`: the
    same where they are 0.3 lower."""

    def clean(shift: float) -> torch.Tensor:
        modes = torch.tensor([-1.0, 0.8], dtype=torch.float64).view(2, *[1] * x.ndim) - shift
        variance = 0.2**2 + sigma**2
        shares = torch.softmax(-((x.double() - modes) ** 2) / (2 * variance), 0)
        return (shares * (modes + 0.2**2 / variance * (x.double() - modes))).sum(0).to(x.dtype)

    return Prediction(clean(0), clean(0.3))


def unguided(x: torch.Tensor, sigma: float) -> Prediction:
    return Prediction(*[two_bells(x, sigma).denoised] * 2)


def noise_of(x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
    """Independent for each step, and the same whenever the step is done."""
    seed = int(sigma * 1e6) * 1000 + int(following * 1e6) % 1000
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(x)


def no_noise(x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
    raise AssertionError("a deterministic sampler asked for noise")


def start(sigma: float, dtype: torch.dtype = torch.float64, count: int = 36) -> State:
    drawn = torch.randn(1, 4, count, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return State((drawn * sigma).to(dtype))


def karras(high: float, low: float, steps: int) -> list[float]:
    """`steps` levels and 0."""
    return [*(numpy.linspace(high ** (1 / 7), low ** (1 / 7), steps) ** 7).tolist(), 0.0]


def states(
    name: str, state: State, sigmas: Sequence[float], denoise: Denoiser, options: Options
) -> Iterator[State]:
    """The state before the first step and after each."""
    yield state
    while not finished(state, sigmas):
        state = TRIED[name].step(state, sigmas, denoise, noise_of, options)
        yield state


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape and one.isfinite().all()
    return float((one - other).abs().max())


def level(value: Callable[[float], float]) -> Denoiser:
    """A model that predicts one value for all elements, whatever x is."""
    return lambda x, sigma: Prediction(*[torch.full_like(x, value(sigma))] * 2)
