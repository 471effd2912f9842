"""The samplers against k-diffusion's, step by step, on a denoiser that is a formula."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from webbduck_gradio.core.sampling.samplers import SOLVERS
from webbduck_gradio.core.sampling.samplers.base import Options, Prediction, Restart, Solver, State, run

RECORDED = json.loads(Path(__file__).with_name("trajectories.json").read_text())
NAMES = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
}
ALMOST_NO_NOISE = 1e-7
"""For eta in place of 0, so that the noise that k-diffusion asks for and multiplies by 0 is asked for."""


def denoise(x: torch.Tensor, sigma: float) -> Prediction:
    """The file's denoiser."""
    variance = 0.25 + sigma**2
    denoised = (x * 0.25 + sigma**2 * torch.tanh(x / variance)) / variance
    return Prediction(denoised, denoised)


class Waves:
    """The file's noise: it depends on how often it was asked for."""

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls
        self.asked: list[tuple[float, float]] = []

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        wave = 1.2 * torch.sin(1.7 * self.calls + 0.9 * torch.arange(x.numel(), dtype=torch.float64))
        self.calls += 1
        self.asked.append((sigma, following))
        return wave.view_as(x).to(x)


def start(sigma: float) -> State:
    return State(torch.cos(1.3 * torch.arange(6, dtype=torch.float64) + 0.4) * sigma)


def setting(key: str) -> tuple[str, list[float], Options]:
    """Sampler, sigmas and options of a run of the file."""
    parts = re.fullmatch(r"(\w+)(?: (\w+) (\d+))?(?: (\{.*\}))?", key)
    assert parts
    function, schedule, steps, text = parts.groups()
    asked = json.loads(text or "{}")
    name = NAMES[function]
    if asked.pop("solver_type", None) == "heun":
        name += " Heun"
    sigmas = RECORDED["schedules"][schedule or "exponential"][steps or "20"]
    if function.startswith("dpm_") and schedule is None:
        asked = {"eta": ALMOST_NO_NOISE if function == "dpm_fast" else 0.0}
    return name, sigmas, Options(**asked)


@pytest.mark.parametrize("key", RECORDED["samplers"])
def test_each_step_is_that_of_k_diffusion(key: str) -> None:
    name, schedule, options = setting(key)
    solver, noise, seen = SOLVERS[name], Waves(), []
    sigmas = solver.plan(schedule, options)
    end = run(solver, start(schedule[0]), sigmas, denoise, noise, options, seen.append)
    recorded = RECORDED["samplers"][key]
    assert end.x.tolist() == pytest.approx(recorded["final"], abs=1e-6)
    for state, denoised in zip(seen, recorded.get("denoised", ()), strict="denoised" in recorded):
        assert state.denoised.tolist() == pytest.approx(denoised, abs=1e-6)
    if isinstance(recorded["noise_calls"], int):
        assert noise.calls == recorded["noise_calls"]
    elif name != "DPM adaptive":  # asked for with a weight of 0 there, and another eta is another step size
        pairs = recorded["noise_calls"]
        if name == "DPM fast":
            pairs = pairs[:-1]  # at the last step its weight is 0 for any eta
        wanted = list(itertools.chain(*pairs))
        assert list(itertools.chain(*noise.asked)) == pytest.approx(wanted, rel=1e-9)


def test_dpm_adaptive_accepts_the_steps_that_k_diffusion_accepts() -> None:
    key = next(key for key in RECORDED["samplers"] if key.startswith("dpm_adaptive"))
    name, sigmas, options = setting(key)
    states = [start(sigmas[0])]
    run(SOLVERS[name], states[0], sigmas, denoise, Waves(), options, states.append)
    times = [-math.log(sigmas[0]), *(state.numbers[0] for state in states[1:])]
    accepted = [math.exp(-time) for time, _ in itertools.groupby(times)]
    pairs = RECORDED["samplers"][key]["noise_calls"]
    assert accepted == pytest.approx([pairs[0][0], *(low for _, low in pairs)], rel=1e-9)


CHURN = Options(s_churn=4.0, s_tmin=0.05, s_tmax=10.0, s_noise=1.003)
RESTART = Options(restarts=(Restart(sigma_min=0.3, steps=3, times=2, sigma_max=2.5),))


def copied(state: State) -> State:
    """The state as its parts, saved and read again."""
    return State(
        state.x.clone(),
        state.step,
        None,
        tuple(tensor.clone() for tensor in state.memory),
        tuple(map(float.fromhex, map(float.hex, state.numbers))),
    )


@pytest.mark.parametrize("options", [Options(), Options(eta=0.4), CHURN, RESTART])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name: str, options: Options) -> None:
    """After any step, and also in float32."""
    solver, schedule = SOLVERS[name], RECORDED["schedules"]["karras"]["20"]
    sigmas = solver.plan(schedule, options)
    begin = replace(start(schedule[0]), x=start(schedule[0]).x.float())
    noise, seen, calls = Waves(), [], []

    def watch(state: State) -> None:
        seen.append(copied(state))
        calls.append(noise.calls)

    end = run(solver, begin, sigmas, denoise, noise, options, watch)
    assert end.x.dtype == torch.float32
    for state, asked in zip(seen, calls, strict=True):
        again = run(solver, state, sigmas, denoise, Waves(asked), options)
        assert torch.equal(again.x, end.x) and again.step == end.step


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_few_steps_end_near_a_clean_picture(name: str, steps: int) -> None:
    """One step is the prediction itself."""
    solver = SOLVERS[name]
    schedule = [*(14.6, 4.0, 1.1, 0.2)[:steps], 0.0]
    options = Options(eta=0.0)
    sigmas = solver.plan(schedule, options)
    end = run(solver, start(14.6), sigmas, denoise, Waves(), options)
    assert torch.isfinite(end.x).all() and end.denoised is not None
    if steps == 1:
        torch.testing.assert_close(end.x, denoise(start(14.6).x, 14.6).denoised)


def test_states_are_not_changed_by_a_step() -> None:
    sigmas = RECORDED["schedules"]["karras"]["8"]
    for solver in SOLVERS.values():
        states: list[tuple[State, State]] = []
        planned = solver.plan(sigmas, Options())
        run(
            solver, start(sigmas[0]), planned, denoise, Waves(), Options(),
            lambda state, kept=states: kept.append((state, copied(state))),
        )  # fmt: skip
        for state, copy in states:
            assert torch.equal(state.x, copy.x)
            assert all(map(torch.equal, state.memory, copy.memory))


ORDERS = {
    "Euler": 1, "Heun": 2, "DPM2": 2, "DPM++ 2M": 2, "LMS": 2, "DPM++ 2M SDE": 2, "DPM++ 2M SDE Heun": 2,
    "DPM++ SDE": 2, "DPM++ 2S a": 2, "DPM fast": 2,
}  # fmt: skip


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_the_error_falls_as_the_order_says(name: str, order: int) -> None:
    """Twice the steps, without noise. Methods of third order have a first or last step of lower order."""
    ends = {}
    for steps in (48, 96, 1536):
        sigmas = [3.0 * (0.5 / 3.0) ** (step / steps) for step in range(steps + 1)]
        if name == "DPM fast":
            sigmas.append(0.0)
        options = Options(eta=0.0)
        solver = SOLVERS[name]
        begin = State(torch.tensor([2.0], dtype=torch.float64))
        end = run(solver, begin, solver.plan(sigmas, options), denoise, Waves(), options)
        ends[steps] = float(end.x)
    assert (ends[48] - ends[1536]) / (ends[96] - ends[1536]) > 2 ** (order - 0.3)


def heunpp2_restated(x: torch.Tensor, sigmas: Sequence[float]) -> torch.Tensor:
    """Slopes at up to three sigmas; the later ones count by their share of the first sigma of all."""

    def slope(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return (x - denoise(x, sigma).denoised) / sigma

    for index in range(len(sigmas) - 1):
        ahead = [sigma for sigma in sigmas[index : index + 3] if sigma > 0]
        place, slopes = x, []
        for here, sigma in enumerate(ahead):
            slopes.append(slope(place, sigma))
            if here + 1 < len(ahead):
                place = place + slopes[-1] * (ahead[here + 1] - sigma)
        shares = [sigma / (len(ahead) * sigmas[0]) for sigma in ahead]
        shares[0] = 1 - sum(shares[1:])
        mean = sum(share * slope for share, slope in zip(shares, slopes, strict=True))
        x = x + mean * (sigmas[index + 1] - sigmas[index])
    return x


@pytest.mark.parametrize("steps", ["5", "12"])
def test_heunpp2_weighs_three_slopes_by_their_sigmas(steps: str) -> None:
    sigmas = RECORDED["schedules"]["karras"][steps]
    end = run(SOLVERS["HeunPP2"], start(sigmas[0]), sigmas, denoise, Waves(), Options())
    torch.testing.assert_close(end.x, heunpp2_restated(start(sigmas[0]).x, sigmas))


def risen(solver: Solver, schedule: Sequence[float], options: Options) -> list[int]:
    planned = solver.plan(schedule, options)
    return [index for index, (high, low) in enumerate(itertools.pairwise(planned)) if low > high]


@pytest.mark.parametrize(("steps", "times", "length"), [(19, 0, 0), (20, 1, 9), (35, 1, 9), (40, 2, 10)])
def test_restart_spends_the_steps_that_were_asked_for(steps: int, times: int, length: int) -> None:
    """As in AUTOMATIC1111: from 0.1 back to 2, within the number of steps."""
    schedule = [14.6 * (0.03 / 14.6) ** (step / (steps - 1)) for step in range(steps)] + [0.0]
    solver, options, states = SOLVERS["Restart"], Options(), []
    places = risen(solver, schedule, options)
    planned = solver.plan(schedule, options)
    noise = Waves()
    run(solver, start(14.6), planned, denoise, noise, options, states.append)
    assert len(places) == times and len(states) == steps
    assert noise.calls == times
    for low, high in noise.asked:
        assert low == pytest.approx(0.1, abs=0.06) and high == pytest.approx(2, abs=0.7)
    for place in places:
        segment = planned[place + 1 : place + length + 2]
        roots = [sigma ** (1 / 7) for sigma in segment]
        assert segment[-1] == planned[place]
        assert [high - low for high, low in itertools.pairwise(roots)] == pytest.approx(
            [(roots[0] - roots[-1]) / length] * length
        )


def test_restart_adds_as_much_noise_as_lies_between_both_sigmas() -> None:
    schedule = [4.0, 2.0, 1.0, 0.5, 0.0]
    options = Options(restarts=(Restart(sigma_min=0.5, steps=2, times=1, sigma_max=2.0),), s_noise=1.5)
    solver = SOLVERS["Restart"]
    planned = solver.plan(schedule, options)
    middle = ((2.0 ** (1 / 7) + 0.5 ** (1 / 7)) / 2) ** 7
    assert planned == pytest.approx([4.0, 2.0, 1.0, 0.5, 2.0, middle, 0.5, 0.0])
    seen: list[tuple[torch.Tensor, float]] = []

    def watched(x: torch.Tensor, sigma: float) -> Prediction:
        seen.append((x, sigma))
        return denoise(x, sigma)

    at_rest = run(SOLVERS["Heun"], start(4.0), schedule[:4], denoise, Waves(), options)
    run(solver, start(4.0), planned, watched, Waves(), options)
    first = next(x for x, sigma in reversed(seen) if sigma == 2.0)
    added = Waves()(first, 0, 0) * 1.5 * math.sqrt(2.0**2 - 0.5**2)
    torch.testing.assert_close(first, at_rest.x + added)
