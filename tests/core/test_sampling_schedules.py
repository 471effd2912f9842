"""The schedules against recorded ones of k-diffusion as AUTOMATIC1111 uses it, and against definitions."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from diffusers import DDPMScheduler
from diffusers.schedulers.scheduling_utils import AysSchedules
from scipy import integrate

from webbduck_gradio.core.sampling.model_sigmas import ModelSigmas
from webbduck_gradio.core.sampling.schedules import SCHEDULES, ScheduleOptions, sigmas_of

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SDXL = ModelSigmas.from_config(CONFIG)
RECORDED = json.loads(Path(__file__).with_name("sigmas.json").read_text())
DISCARDS = ("DPM2", "DPM++ 3M SDE")
STEPS = (1, 2, 3, 7, 10, 24, 50)


@pytest.mark.parametrize("steps", RECORDED)
def test_the_recorded_schedules_are_met(steps: str) -> None:
    for name, wanted in RECORDED[steps].items():
        schedule = next(
            (each for each in ("Karras", "Exponential", "SGM Uniform") if each in name), "Uniform"
        )
        got = sigmas_of(schedule, SDXL, int(steps), discards_penultimate=name.startswith(DISCARDS))
        assert got == pytest.approx(wanted, rel=1e-4, abs=6e-6), name  # the file has five decimals


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", STEPS)
def test_schedules_descend_to_zero_in_as_many_steps(name: str, steps: int) -> None:
    sigmas = sigmas_of(name, SDXL, steps)
    assert all(type(sigma) is float for sigma in sigmas)
    assert sigmas[-1] == 0 and all(high > low for high, low in itertools.pairwise(sigmas))
    if name != "DDIM":
        assert len(sigmas) == steps + 1 and 14 < sigmas[0] <= 14.615
    discarded = sigmas_of(name, SDXL, steps, discards_penultimate=True)
    longer = sigmas_of(name, SDXL, steps + 1)
    assert discarded == [sigma for sigma in longer if sigma != longer[-2]]


def test_karras_and_polyexponential_follow_their_rho() -> None:
    options = ScheduleOptions(rho=3.0, sigma_min=0.1, sigma_max=10.0)
    roots = [sigma ** (1 / 3) for sigma in sigmas_of("Karras", SDXL, 6, options)[:-1]]
    assert np.diff(roots, 2) == pytest.approx(np.zeros(4), abs=1e-12)
    assert (roots[0] ** 3, roots[-1] ** 3) == pytest.approx((10, 0.1))
    logs = [math.log(sigma / 0.1) for sigma in sigmas_of("Polyexponential", SDXL, 6, options)[:-1]]
    assert logs == pytest.approx([math.log(100) * (left / 5) ** 3 for left in range(5, -1, -1)])
    assert sigmas_of("Polyexponential", SDXL, 9) == pytest.approx(sigmas_of("Exponential", SDXL, 9))


@pytest.mark.parametrize("schedule", ["karras", "exponential", "polyexponential"])
def test_k_diffusions_own_schedules_are_met(schedule: str) -> None:
    recorded = json.loads(Path(__file__).with_name("trajectories.json").read_text())["schedules"][schedule]
    options = ScheduleOptions(sigma_min=0.0291675, sigma_max=14.614642)
    for steps, wanted in recorded.items():
        assert sigmas_of(schedule.capitalize(), SDXL, int(steps), options) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("steps", STEPS[2:])
def test_normal_is_even_in_time_between_its_ends(steps: int) -> None:
    options = ScheduleOptions(sigma_min=0.2, sigma_max=8.0)
    for name, ends in (("Normal", 0.2), ("SGM Uniform", None)):
        sigmas = sigmas_of(name, SDXL, steps, options)[:-1]
        timesteps = [SDXL.timestep(sigma) for sigma in sigmas]
        assert sigmas[0] == pytest.approx(8)
        gap = timesteps[0] - timesteps[1]
        assert np.diff(timesteps) == pytest.approx(np.full(steps - 1, -gap))
        last = sigmas[-1] if ends else SDXL.sigma(timesteps[-1] - gap)
        assert last == pytest.approx(0.2)
    assert sigmas_of("Normal", SDXL, steps) == pytest.approx(sigmas_of("Uniform", SDXL, steps))


def test_simple_takes_whole_timesteps_from_the_top() -> None:
    assert sigmas_of("Simple", SDXL, 4)[:-1] == [float(SDXL.sigmas[place]) for place in (999, 749, 499, 249)]
    # 1000 / 7 is 142.86
    assert sigmas_of("Simple", SDXL, 7)[:-1] == [
        float(SDXL.sigmas[999 - gone]) for gone in (0, 142, 285, 428, 571, 714, 857)
    ]


def test_ddim_goes_up_from_the_second_timestep() -> None:
    assert sigmas_of("DDIM", SDXL, 5)[:-1] == [float(SDXL.sigmas[place]) for place in (801, 601, 401, 201, 1)]
    assert len(sigmas_of("DDIM", SDXL, 24)) == 26  # 1 + 41 k below 1000: 25 levels, as in AUTOMATIC1111


def test_turbo_is_trailing_in_whole_timesteps() -> None:
    assert sigmas_of("Turbo", SDXL, 4)[:-1] == [float(SDXL.sigmas[place]) for place in (999, 749, 499, 249)]
    places = (999, 666, 332)  # 1000, 666.7 and 333.3, less 1
    assert sigmas_of("Turbo", SDXL, 3)[:-1] == [float(SDXL.sigmas[place]) for place in places]


def test_kl_optimal_is_even_in_the_angle() -> None:
    low, high = math.atan(SDXL.sigma_min), math.atan(SDXL.sigma_max)
    angles = [math.atan(sigma) for sigma in sigmas_of("KL Optimal", SDXL, 8)[:-1]]
    assert angles == pytest.approx([high + (low - high) * step / 8 for step in range(8)])


def test_beta_has_equal_shares_of_its_density_between_levels() -> None:
    options = ScheduleOptions(alpha=0.8, beta=1.4)
    for alpha, beta, given in ((0.6, 0.6, ScheduleOptions()), (0.8, 1.4, options)):
        sigmas = sigmas_of("Beta", SDXL, 6, given)[:-1]
        assert (sigmas[0], sigmas[-1]) == pytest.approx((SDXL.sigma_max, SDXL.sigma_min))
        places = [(sigma - SDXL.sigma_min) / (SDXL.sigma_max - SDXL.sigma_min) for sigma in sigmas]
        norm = math.gamma(alpha) * math.gamma(beta) / math.gamma(alpha + beta)
        for high, low in itertools.pairwise(places):
            density, _ = integrate.quad(
                lambda t, a=alpha, b=beta: t ** (a - 1) * (1 - t) ** (b - 1), low, high, limit=200
            )
            assert density / norm == pytest.approx(1 / 5, rel=1e-5)


def test_align_your_steps_are_the_published_levels() -> None:
    ten = sigmas_of("Align Your Steps", SDXL, 11)
    assert ten[:3] == [14.615, 6.315, 3.771] and ten[-3:] == [0.113, 0.029, 0.0]
    published = AysSchedules["StableDiffusionXLTimesteps"]  # the same schedule in whole timesteps
    assert ten[:10] == pytest.approx([SDXL.sigma(timestep) for timestep in published], rel=0.015)
    between = sigmas_of("Align Your Steps", SDXL, 21)
    assert between[:-1:2] == pytest.approx(ten[:-1])
    assert [sigma**2 for sigma in between[1:-1:2]] == pytest.approx(
        [high * low for high, low in itertools.pairwise(ten[:-1])]
    )
    fine = sigmas_of("Align Your Steps 32", SDXL, 32)
    assert len(fine) == 33 and (fine[0], fine[-2]) == (14.615, 0.015)
    # The ten-step levels were refined to make these: the two curves stay close, except at the end.
    coarse = sigmas_of("Align Your Steps", SDXL, 32)
    assert fine[:28] == pytest.approx(coarse[:28], rel=0.03)


def test_bounds_that_are_no_range_are_refused() -> None:
    for low, high in ((0.0, None), (-1.0, None), (3.0, 2.0), (20.0, None)):
        with pytest.raises(ValueError, match="sigma_min"):
            sigmas_of("Karras", SDXL, 5, ScheduleOptions(sigma_min=low, sigma_max=high))


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"},
        {"num_train_timesteps": 200, "beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.01, 0.02, 0.05, 0.1]},
        {},
    ],
)
def test_the_sigmas_are_those_that_diffusers_reads(config: dict[str, object]) -> None:
    products = DDPMScheduler(**config).alphas_cumprod.double()  # computed in float32
    wanted = ((1 - products) / products).sqrt()
    model = ModelSigmas.from_config(config)
    assert len(model) == len(wanted)
    assert model.sigmas == pytest.approx(wanted.numpy(), rel=2e-3)


def test_zero_snr_is_lin_et_als() -> None:
    model = ModelSigmas.from_config(CONFIG | {"rescale_betas_zero_snr": True})
    plain = SDXL.sigmas
    signal, wanted = 1 / np.sqrt(1 + plain**2), 1 / np.sqrt(1 + model.sigmas**2)
    assert model.sigma_max == pytest.approx(4518.76, rel=1e-5)
    assert wanted[0] == pytest.approx(signal[0])  # the first stays, all others move by an affine map to 0
    moved = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    assert wanted[:-1] == pytest.approx(moved[:-1])


def test_timesteps_and_sigmas_are_each_others_inverse() -> None:
    assert (SDXL.sigma(999), SDXL.sigma_max) == pytest.approx((14.614641, 14.614641), rel=1e-7)
    assert (SDXL.sigma(0), SDXL.sigma_min) == pytest.approx((0.0291672, 0.0291672), rel=1e-5)
    for timestep in (0.0, 0.25, 17.5, 500.0, 998.999):
        assert SDXL.timestep(SDXL.sigma(timestep)) == pytest.approx(timestep, abs=1e-8)
    assert SDXL.sigma(10.5) ** 2 == pytest.approx(SDXL.sigma(10) * SDXL.sigma(11))
    assert (SDXL.timestep(99), SDXL.timestep(1e-4)) == (999, 0)
    assert (SDXL.sigma(2000), SDXL.sigma(-1)) == (SDXL.sigma(999), SDXL.sigma(0))


@pytest.mark.parametrize("wrong", [[1.0], [2.0, 1.0], [0.0, 1.0], [1.0, math.inf], [[1.0, 2.0]]])
def test_sigmas_that_cannot_be_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="sigmas must be"):
        ModelSigmas(wrong)


def test_an_unknown_beta_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="beta_schedule"):
        ModelSigmas.from_config({"beta_schedule": "spiral"})
