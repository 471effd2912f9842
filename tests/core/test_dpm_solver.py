"""DPM fast and DPM adaptive with noise, against the paper's formulas in its own time, lambda = -log sigma."""

import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch

from webbduck_gradio.core.sampling.samplers import SOLVERS
from webbduck_gradio.core.sampling.samplers.base import Options, Prediction, State, run

HIGH, LOW = 14.614642, 0.0291675
START = torch.cos(1.3 * torch.arange(6, dtype=torch.float64) + 0.4) * HIGH
Noise = Callable[[float, float], torch.Tensor]


def clean(x: torch.Tensor, sigma: float) -> torch.Tensor:
    variance = 0.25 + sigma**2
    return (x * 0.25 + sigma**2 * torch.tanh(x / variance)) / variance


def waves() -> Iterator[torch.Tensor]:
    return (
        1.2 * torch.sin(1.7 * call + 0.9 * torch.arange(6, dtype=torch.float64)) for call in itertools.count()
    )


def epsilon(x: torch.Tensor, time: float) -> torch.Tensor:
    return (x - clean(x, math.exp(-time))) * math.exp(time)


def advanced(x: torch.Tensor, start: float, end: float, order: int, r1: float) -> torch.Tensor:
    """Equation 3.7, algorithms 4 and 5 of Lu et al. 2022a with alpha 1."""
    h = end - start
    first = epsilon(x, start)
    if order == 1:
        return x - math.exp(-end) * math.expm1(h) * first
    s1 = start + r1 * h
    change = epsilon(x - math.exp(-s1) * math.expm1(r1 * h) * first, s1) - first
    straight = x - math.exp(-end) * math.expm1(h) * first
    if order == 2:
        return straight - math.exp(-end) / (2 * r1) * math.expm1(h) * change
    r2 = 2 * r1
    s2 = start + r2 * h
    second = x - math.exp(-s2) * math.expm1(r2 * h) * first
    second = second - math.exp(-s2) * r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1) * change
    return straight - math.exp(-end) / r2 * (math.expm1(h) / h - 1) * (epsilon(second, s2) - first)


def lowered(start: float, end: float, last: float, eta: float) -> tuple[float, float]:
    """Time to go to without noise, and deviation of the noise that leads back to `end`."""
    if eta == 0:
        return end, 0.0
    sigma, following = math.exp(-start), math.exp(-end)
    up = min(following, eta * math.sqrt(following**2 * (sigma**2 - following**2) / sigma**2))
    down = math.sqrt(following**2 - up**2)
    time = min(last, -math.log(down)) if down else last
    return time, math.sqrt(max(0.0, following**2 - math.exp(-2 * time)))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("evaluations", [4, 5, 6, 20])
def test_dpm_fast_is_the_papers(evaluations: int, eta: float) -> None:
    orders = {4: [3, 1], 5: [3, 2], 6: [3, 2, 1], 20: [3] * 6 + [2]}[evaluations]
    begin, last = -math.log(HIGH), -math.log(LOW)
    times = [begin + (last - begin) * index / len(orders) for index in range(len(orders) + 1)]
    x, noise = START, waves()
    for order, (start, end) in zip(orders, itertools.pairwise(times), strict=True):
        end_without, deviation = lowered(start, end, last, eta)
        x = advanced(x, start, end_without, order, 1 / 2 if order == 2 else 1 / 3)
        x = x + (next(noise) * 1.1 * deviation if eta else 0)
    schedule = [*torch.linspace(HIGH, LOW, evaluations, dtype=torch.float64).tolist(), 0.0]
    assert_same("DPM fast", schedule, Options(eta=eta, s_noise=1.1), x, evaluations)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rtol", [0.05, 0.01])
def test_dpm_adaptive_is_the_papers(eta: float, rtol: float) -> None:
    """The step size follows the error like k-diffusion's: h * (1 + atan(error^(-1 / order) - 1))."""
    x, before, noise = START, START, waves()
    time, last, h = -math.log(HIGH), -math.log(LOW), 0.05
    attempts = 0
    while time < last - 1e-5:
        end = min(last, time + h)
        end_without, deviation = lowered(time, end, last, eta)
        low, high = (advanced(x, time, end_without, order, 1 / 3) for order in (2, 3))
        allowed = torch.clamp(rtol * torch.maximum(low.abs(), before.abs()), min=0.002)
        error = float(torch.linalg.vector_norm((low - high) / allowed)) / math.sqrt(x.numel())
        factor = 1 + math.atan((error + 1e-8) ** (-1 / (1.5 if eta else 3)) - 1)
        attempts += 1
        h *= factor
        if factor >= 0.81:
            x, before, time = high + (next(noise) * 1.1 * deviation if eta else 0), low, end
    options = Options(eta=eta, s_noise=1.1, rtol=rtol, atol=0.002)
    assert_same("DPM adaptive", [HIGH, LOW, 0.0], options, x, attempts)


def assert_same(name: str, schedule: list[float], options: Options, wanted: torch.Tensor, steps: int) -> None:
    noise = waves()

    def denoise(x: torch.Tensor, sigma: float) -> Prediction:
        return Prediction(clean(x, sigma), x)

    def draw(x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        return next(noise)

    solver = SOLVERS[name]
    planned = solver.plan(schedule, options)
    end = run(solver, State(START), planned, denoise, draw, options)
    torch.testing.assert_close(end.x, wanted, rtol=1e-8, atol=1e-8)
    assert end.step == steps
