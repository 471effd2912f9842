"""The families of samplers: exact where the method promises it, true to a known distribution, the same after
a stop."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy
import pytest
import torch
from known_models import (
    LIVELY,
    STILL,
    TRIED,
    apart,
    karras,
    level,
    no_noise,
    noise_of,
    start,
    states,
    two_bells,
    unguided,
)
from scipy.integrate import quad

from webbduck_gradio.core.sampling.samplers.base import Options, Prediction, State, finished, run
from webbduck_gradio.core.sampling.samplers.consistency import level_below, sdxl_sigmas
from webbduck_gradio.core.sampling.samplers.deis import vp_time
from webbduck_gradio.core.sampling.samplers.er_sde import noise_scale

NAMES = list(TRIED)
DETERMINISTIC = [name for name in NAMES if name not in ("LCM", "DDPM")]
"""With `STILL`."""

# Exactness.


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("high", [14.6, 4518.0])
def test_a_constant_prediction_is_followed_exactly(name: str, high: float) -> None:
    clean = torch.linspace(-1, 1, 144, dtype=torch.float64).view(1, 4, 36)
    sigmas = karras(high, 0.03, 9)[:-1]
    for state in states(name, start(high), sigmas, lambda x, sigma: Prediction(clean, clean), STILL):
        expected = clean + (start(high).x - clean) * (sigmas[state.step] / high)
        assert apart(state.x, expected) < 1e-12 * high


def polynomial(name: str, sigma: float) -> float:
    """Of the highest degree that the sampler promises to follow, in the variable in which it interpolates."""
    log = math.log(sigma)
    return {
        "UniPC": 0.3 + 0.5 * log - 0.2 * log**2,
        "Res Multistep": 0.3 + 0.5 * log,
        "ER SDE": 0.3 + 0.5 * sigma,
        "DEIS": 0.3 + 0.5 * vp_time(sigma) - 3 * vp_time(sigma) ** 2,
        "DEIS log rho": 0.3 + 0.5 * log - 0.2 * log**2,
        "iPNDM": 0.3 + 0.5 * sigma - 0.2 * sigma**2 + 0.1 * sigma**3,
        "PLMS": 0.3 + 0.5 * sigma - 0.2 * sigma**2 + 0.1 * sigma**3,
    }[name]


def carried(x: torch.Tensor, prediction: Callable[[float], float], begin: float, end: float) -> torch.Tensor:
    """The exact solution at `end`, from that at `begin`, where the prediction depends on sigma alone."""
    return x * (end / begin) + quad(lambda s: prediction(s) * end / s**2, end, begin, epsabs=1e-13)[0]


@pytest.mark.parametrize("name", ["UniPC", "Res Multistep", "ER SDE"])
def test_a_prediction_that_is_a_polynomial_is_followed_exactly(name: str) -> None:
    sigmas = karras(3.0, 0.5, 9)[:-1]
    ran = list(states(name, start(3.0), sigmas, level(lambda s: polynomial(name, s)), STILL))
    for before, after in itertools.pairwise(
        ran[3:-2]
    ):  # warmed up; UniPC's last two steps are of lower order
        origin = after.memory[0] if name == "UniPC" else before.x  # as corrected
        ends = sigmas[before.step], sigmas[after.step]
        assert apart(after.x, carried(origin, lambda s: polynomial(name, s), *ends)) < 1e-11


@pytest.mark.parametrize("name", ["DEIS", "DEIS log rho", "iPNDM", "PLMS"])
def test_noise_that_is_a_polynomial_is_followed_exactly(name: str) -> None:
    sigmas = numpy.linspace(3.0, 0.5, 9).tolist() if name in ("iPNDM", "PLMS") else karras(3.0, 0.5, 9)[:-1]

    def denoise(x: torch.Tensor, sigma: float) -> Prediction:
        return Prediction(*[x - sigma * polynomial(name, sigma)] * 2)

    ran = list(states(name, start(3.0), sigmas, denoise, STILL))
    for before, after in itertools.pairwise(ran[3:]):
        begin, end = sigmas[before.step], sigmas[after.step]
        added = quad(lambda s: polynomial(name, s), begin, end, epsabs=1e-13)[0]
        assert apart(after.x, before.x + added) < 1e-11


def test_unipc_corrects_by_one_degree_more() -> None:
    sigmas = karras(3.0, 0.5, 9)[:-1]

    def cubic(sigma: float) -> float:
        return 0.3 + 0.5 * math.log(sigma) ** 3

    ran = list(states("UniPC", start(3.0), sigmas, level(cubic), STILL))
    for before, after in itertools.pairwise(ran[4:-1]):
        ends = sigmas[before.step - 1], sigmas[before.step]
        assert apart(after.memory[0], carried(before.memory[0], cubic, *ends)) < 1e-11


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_er_sde_integrates_the_parabola_of_its_latest_predictions(eta: float) -> None:
    """The exact solution is a mean of predictions by the growth of -1 / phi; the parabola is the authors'."""

    def scale(sigma: float) -> float:
        return float(noise_scale(sigma, eta))

    def density(sigma: float) -> float:
        low, high = sigma * (1 - 1e-5), sigma * (1 + 1e-5)
        return (1 / scale(low) - 1 / scale(high)) / (high - low)

    sigmas = karras(5.0, 0.2, 7)[:-1]
    ran = list(states("ER SDE", start(5.0), sigmas, unguided, Options(eta=eta, s_noise=0)))
    for step in range(3, 7):
        further, near, now, then = sigmas[step - 3 : step + 1]
        older, newer, latest = (state.denoised for state in ran[step - 2 : step + 1])
        slope = (latest - newer) / (now - near)
        bend = (slope - (newer - older) / (near - further)) / (now - further)
        x = ran[step - 1].x * (scale(then) / scale(now))
        for power, factor in enumerate((latest, slope, bend)):
            integral = quad(lambda s, now=now, power=power: (s - now) ** power * density(s), then, now)[0]
            x = x + factor * (scale(then) * integral)
        assert apart(ran[step].x, x) < 1e-7


def test_the_deeper_level_of_tcd_is_at_its_share_of_the_timestep() -> None:
    trained = sdxl_sigmas()
    assert trained[0] == pytest.approx(0.02917, abs=1e-5) and trained[-1] == pytest.approx(14.6146, abs=1e-4)
    assert level_below(trained[600], 0.25, trained) == pytest.approx(trained[450], rel=1e-12)
    between = trained[450] ** 0.25 * trained[451] ** 0.75  # 0.75 * 601 = 450.75
    assert level_below(trained[601], 0.25, trained) == pytest.approx(between, rel=1e-12)
    assert level_below(trained[600], 1, trained) == pytest.approx(trained[0])
    assert level_below(4518.0, 0, trained) == 4518.0
    assert level_below(0.001, 0.5, trained) == 0.001


def test_the_time_of_deis_is_that_of_a_linear_beta() -> None:
    times = [0.001, 1.0, 0.3, 0.7]
    noise = [math.log1p(sigma**2) for sigma in (0.002, 80.0)]
    # The integral of beta is parabolic and 0 at time 0; here it goes through those two.
    rise, base = numpy.linalg.solve([[time**2, time] for time in times[:2]], noise)
    for time in times:
        assert vp_time(math.sqrt(math.expm1(rise * time**2 + base * time))) == pytest.approx(time, rel=1e-6)


# CFG++.


@pytest.mark.parametrize("name", ["Euler CFG++", "DDIM CFG++", "Euler a CFG++"])
def test_the_noise_of_cfgpp_is_that_of_the_unconditional_prediction(name: str) -> None:
    clean, without = 0.4, -0.3
    sigmas = karras(14.6, 0.03, 8)

    def denoise(x: torch.Tensor, sigma: float) -> Prediction:
        return Prediction(torch.full_like(x, clean), torch.full_like(x, without))

    ran = list(states(name, start(14.6), sigmas, denoise, STILL))
    for before, after in itertools.pairwise(ran):
        ratio = sigmas[after.step] / sigmas[before.step]
        expected = clean + (before.x - without) * ratio if ratio else torch.full_like(before.x, clean)
        assert apart(after.x, expected) < 1e-12


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_without_guidance_the_ancestral_kind_is_ddim_with_eta(eta: float) -> None:
    sigmas = karras(14.6, 0.03, 6)[:-1]
    one, other = (
        run(TRIED[name], start(14.6), sigmas, unguided, noise_of, options).x
        for name, options in (("Euler a CFG++", Options(eta=eta)), ("DDIM", Options(eta_ddim=eta)))
    )
    assert apart(one, other) < 1e-12


def test_the_noise_scale_of_er_sde_is_the_published_one() -> None:
    assert noise_scale(1.0, 1.0) == pytest.approx(math.e + 10)
    assert noise_scale(2.0, 0.5) == pytest.approx(2 * math.sqrt(math.exp(2**0.3) + 10))
    assert noise_scale(4518.0, 0.0) == 4518.0


# Distributions.

MEAN, DEVIATION = 0.7, 0.4


def bell(x: torch.Tensor, sigma: float) -> Prediction:
    """What a perfect model takes x to be where pictures are N(0.7, 0.4)."""
    return Prediction(*[MEAN + (x - MEAN) * (DEVIATION**2 / (DEVIATION**2 + sigma**2))] * 2)


def jump(x: torch.Tensor, sigma: float) -> Prediction:
    """A perfect consistency model of N(0.7, 0.4): the end of the ODE through x."""
    return Prediction(*[MEAN + (x - MEAN) * (DEVIATION / math.hypot(DEVIATION, sigma))] * 2)


def crowd(sigma: float) -> State:
    """Many pictures with noise. Perfect latents at the highest level, so that no error is the start's."""
    return State(start(math.hypot(DEVIATION, sigma), count=50_000).x + MEAN)


@pytest.mark.parametrize("name", ["DDPM", "DDIM", "Euler a CFG++", "ER SDE"])
def test_samplers_that_add_noise_keep_the_distribution(name: str) -> None:
    """The statistical error is 0.001, the rest is that of 200 steps of first order."""
    sigmas = [*numpy.geomspace(80, 0.01, 200).tolist(), 0.0]
    x = run(TRIED[name], crowd(80), sigmas, bell, noise_of, LIVELY).x
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.005)
    assert float(x.std()) == pytest.approx(DEVIATION, abs=0.01)


@pytest.mark.parametrize("name", ["LCM", "TCD"])
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_consistency_models_keep_it_in_any_number_of_steps(name: str, steps: int) -> None:
    """TCD with gamma 1, where each step leads through the lowest level, here next to the 0 of LCM."""
    sigmas = karras(14.6, 0.1, steps)
    options = Options(gamma=1, training_sigmas=tuple(numpy.geomspace(1e-4, 20, 1000).tolist()))
    x = run(TRIED[name], crowd(sigmas[0]), sigmas, jump, noise_of, options).x
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.005)
    assert float(x.std()) == pytest.approx(DEVIATION, abs=0.005)


# Stops, starts, extremes.


def copied(state: State) -> State:
    denoised = None if state.denoised is None else state.denoised.clone()
    memory = tuple(each.clone() for each in state.memory)
    return State(state.x.clone(), state.step, denoised, memory, tuple(state.numbers))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_stopped_after_any_step_goes_on_with_the_same_bits(name: str, dtype: torch.dtype) -> None:
    sigmas = karras(14.6, 0.03, 7)
    ran = list(states(name, start(14.6, dtype), sigmas, two_bells, LIVELY))
    assert len(ran) == 8
    for stopped in ran:
        end = run(TRIED[name], copied(stopped), sigmas, two_bells, noise_of, LIVELY)
        assert torch.equal(end.x, ran[-1].x) and end.x.dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_a_start_in_the_middle_is_a_start(name: str) -> None:
    """Image to image: nothing depends on the steps left out."""
    sigmas = karras(14.6, 0.03, 9)
    begin = start(sigmas[4])
    whole = run(TRIED[name], State(begin.x, 4), sigmas, two_bells, noise_of, LIVELY)
    assert torch.equal(whole.x, run(TRIED[name], begin, sigmas[4:], two_bells, noise_of, LIVELY).x)


@pytest.mark.parametrize("options", [STILL, LIVELY, Options()])
@pytest.mark.parametrize("steps", [1, 2, 3, 20])
@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_from_zero_snr_down_to_zero_ends_in_a_prediction(
    name: str, steps: int, options: Options
) -> None:
    """PLMS averages the noise at both ends of its first step, which is not stable from 4518 to 0.03."""
    sigmas = karras(4518.0, 0.03, steps)
    ran = list(states(name, start(4518.0, torch.float32), sigmas, two_bells, options))
    assert all(state.x.isfinite().all() for state in ran)
    assert torch.equal(ran[-1].x, ran[-1].denoised) and finished(ran[-1], sigmas)
    if (name, steps) != ("PLMS", 2):
        assert ran[-1].x.abs().max() < 2  # among the pictures


@pytest.mark.parametrize("name", NAMES)
def test_each_step_asks_the_model_once_save_the_first_of_plms(name: str) -> None:
    asked = []

    def denoise(x: torch.Tensor, sigma: float) -> Prediction:
        asked.append(sigma)
        return unguided(x, sigma)

    sigmas = karras(14.6, 0.03, 5)
    run(TRIED[name], start(14.6), sigmas, denoise, noise_of, LIVELY)
    assert asked == [*sigmas[:1], *(sigmas[1:2] if name == "PLMS" else []), *sigmas[1:-1]]


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_no_noise_is_drawn_where_none_is_added(name: str) -> None:
    run(TRIED[name], start(14.6), karras(14.6, 0.03, 5), two_bells, no_noise, STILL)
