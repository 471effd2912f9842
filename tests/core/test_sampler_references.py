"""Noise levels and solvers against what they are defined by, restated here without diffusers."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy
import pytest
import torch
import torchsde

from webbduck_gradio.core.sampling.schedulers import build
from webbduck_gradio.request import SCHEDULERS
from webbduck_gradio.request.samplers import JOINED

SDXL = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
PRODUCT = numpy.cumprod(1 - numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
SIGMAS = numpy.sqrt((1 - PRODUCT) / PRODUCT)
DISCARDS = ("DPM2", "DPM++ 3M SDE")
"""Beginnings of the names for which AUTOMATIC1111 leaves out the last level but one."""
ONE_EVEN_SCHEDULE = ("UniPC", "DDIM")


def schedule_of(name: str) -> str:
    return next((kind for kind in ("Karras", "Exponential", "SGM Uniform") if name.endswith(kind)), "Uniform")


def defined(name: str, steps: int) -> numpy.ndarray:
    """The levels by the names' definitions, the zero at the end left out."""
    count = steps + name.startswith(DISCARDS)
    low, high = SIGMAS[0], SIGMAS[-1]
    kind = schedule_of(name)
    if kind == "Karras":
        laid = numpy.linspace(high ** (1 / 7), low ** (1 / 7), count) ** 7
    elif kind == "Exponential":
        laid = numpy.geomspace(high, low, count)
    else:
        places = numpy.linspace(999, 0, count if kind == "Uniform" else steps + 1)
        laid = numpy.exp(numpy.interp(places, numpy.arange(1000), numpy.log(SIGMAS)))
    return laid[:steps]


def drawn(name: str, steps: int, **config: object) -> numpy.ndarray:
    scheduler = build(*JOINED[name], SDXL | config, steps, 0)
    scheduler.set_timesteps(steps)
    levels = torch.unique_consecutive(scheduler.sigmas).double().numpy()
    assert levels[-1] == 0
    return levels[:-1]


@pytest.mark.parametrize("steps", [5, 25])
@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ONE_EVEN_SCHEDULE])
def test_the_noise_levels_are_those_of_the_name(name: str, steps: int) -> None:
    if steps < 10 and schedule_of(name) == "Uniform" and not name.startswith(DISCARDS):
        name += " SGM Uniform"  # on purpose, and said in the help: even steps that end at 0 overshoot here
        levels = drawn(name.removesuffix(" SGM Uniform"), steps)
    else:
        levels = drawn(name, steps)
    assert levels == pytest.approx(defined(name, steps), rel=0.015)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name.endswith(("Karras", "Exponential"))])
def test_they_go_down_to_the_end_on_checkpoints_that_ask_for_trailing_steps(name: str) -> None:
    levels = drawn(name, 8, timestep_spacing="trailing")
    assert levels == pytest.approx(defined(name, 8), rel=0.015)


def test_zero_terminal_snr_changes_the_top_and_not_the_bottom() -> None:
    for name in ("Euler Karras", "DPM++ 2M Karras"):
        levels = drawn(name, 28, timestep_spacing="trailing", rescale_betas_zero_snr=True)
        assert levels[0] > 4000 and levels[-1] == pytest.approx(SIGMAS[0], rel=0.01)


def test_two_names_are_two_samplers() -> None:
    for name in ("DPM++ 2M", "Euler", "DPM++ SDE"):
        assert abs(drawn(name, 20)[-1] / drawn(f"{name} SGM Uniform", 20)[-1] - 1) > 0.5


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name.startswith(DISCARDS)])
def test_the_model_is_asked_for_the_very_level_that_the_step_starts_from(name: str) -> None:
    """Rounded to whole timesteps, an ancestral sampler leaves a part of its noise in the picture."""
    scheduler = build(*JOINED[name], SDXL, 18, 0)
    scheduler.set_timesteps(18)
    asked = numpy.interp(scheduler.timesteps[:: scheduler.order], numpy.arange(1000), numpy.log(SIGMAS))
    assert numpy.exp(asked) == pytest.approx(drawn(name, 18), rel=1e-3)


class Run:
    """A sampler of ours on a denoiser of our own: its levels, and where each step ended (x0 + sigma * n)."""

    def __init__(self, name: str, steps: int, denoise):
        scheduler = build(*JOINED[name], SDXL, steps, 0)
        scheduler.set_timesteps(steps)
        self.levels = torch.unique_consecutive(scheduler.sigmas.double())
        generator = torch.Generator().manual_seed(5)
        self.start = torch.randn(1, 4, 12, 12, generator=generator) * scheduler.init_noise_sigma
        takes = inspect.signature(scheduler.step).parameters
        more = {"generator": generator} if "generator" in takes else {}
        self.start_state = generator.get_state()
        x = self.start
        for timestep in scheduler.timesteps:
            sigma = float(numpy.exp(numpy.interp(float(timestep), numpy.arange(1000), numpy.log(SIGMAS))))
            seen = scheduler.scale_model_input(x, timestep) * math.sqrt(1 + sigma**2)
            x = scheduler.step((seen - denoise(seen, sigma)) / sigma, timestep, x, **more, return_dict=False)[
                0
            ]
        self.end = x
        unit = scheduler.init_noise_sigma == 1
        if unit:  # of unit variance at the start
            self.start = self.start * math.sqrt(1 + float(self.levels[0]) ** 2)

    def noises(self):
        """The noise that the sampler drew, step for step."""
        generator = torch.Generator()
        generator.set_state(self.start_state)
        while True:
            yield torch.randn(self.start.shape, generator=generator)


def two_bells(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """What a perfect model takes x to be where pictures are -1 or 0.8, give or take 0.2."""
    modes = torch.tensor([-1.0, 0.8]).view(2, *[1] * x.ndim)
    variance = 0.2**2 + float(sigma) ** 2
    shares = torch.softmax(-((x - modes) ** 2) / (2 * variance), 0)
    return (shares * (modes + 0.2**2 / variance * (x - modes))).sum(0)


def integral(now: float, then: float, power: int) -> float:
    """Of 2 exp(-2 (end - t)) times a power of the share of the step gone by, over t = -log sigma."""
    length = math.log(now / then)
    nodes, shares = numpy.polynomial.legendre.leggauss(30)
    gone = (nodes + 1) / 2
    return float((length / 2 * shares * 2 * numpy.exp(-2 * length * (1 - gone)) * gone**power).sum())


@pytest.mark.parametrize("steps", [9, 22, 45])
@pytest.mark.parametrize("name", ["DPM++ 3M SDE", "DPM++ 3M SDE Karras", "DPM++ 3M SDE Exponential"])
def test_the_third_order_follows_the_bend_of_what_it_saw(name: str, steps: int) -> None:
    """DPM-Solver++(3M) with fresh noise, its weights by numerical integration.

    The curvature counts half of what a parabola would ask for: so the solver's authors and k-diffusion.
    """
    run = Run(name, steps, two_bells)
    x, noises, levels = run.start, run.noises(), run.levels.tolist()
    seen: list[tuple[float, torch.Tensor]] = []
    for now, then in itertools.pairwise(levels):
        seen = [(now, two_bells(x, now)), *seen[:2]]
        clean = seen[0][1]
        if then == 0:
            x = clean
            break
        length = math.log(now / then)
        apart = [math.log(older / newer) / length for (newer, _), (older, _) in itertools.pairwise(seen)]
        slopes = [
            (newer - older) / gap
            for ((_, newer), (_, older)), gap in zip(itertools.pairwise(seen), apart, strict=True)
        ]
        x = x * (then / now) ** 2 + clean * integral(now, then, 0)
        if len(slopes) == 1:
            x = x + slopes[0] * integral(now, then, 1)
        if len(slopes) == 2:
            bend = (slopes[0] - slopes[1]) / sum(apart)
            x = x + (slopes[0] + bend * apart[0]) * integral(now, then, 1)
            x = x + bend * integral(now, then, 2) / 2
        x = x + next(noises) * then * math.sqrt(1 - (then / now) ** 2)
    assert float((run.end - x).abs().mean()) < 1e-3


def middle(now: float, then: float) -> float:
    return math.sqrt(now * then)


@pytest.mark.parametrize("name", ["DPM2", "DPM2 Karras"])
def test_dpm2_takes_its_slope_in_the_middle(name: str) -> None:
    run = Run(name, 15, two_bells)
    x, levels = run.start, run.levels.tolist()
    for now, then in itertools.pairwise(levels):
        slope = (x - two_bells(x, now)) / now
        if then:
            between = middle(now, then)
            half = x + slope * (between - now)
            slope = (half - two_bells(half, between)) / between
        x = x + slope * (then - now)
    assert float((run.end - x).abs().mean()) < 1e-3


@pytest.mark.parametrize("name", ["DPM2 a", "DPM2 a Karras"])
def test_its_ancestral_kin_steps_deeper_and_adds_noise(name: str) -> None:
    run = Run(name, 15, two_bells)
    x, noises, levels = run.start, run.noises(), run.levels.tolist()
    for now, then in itertools.pairwise(levels):
        up = then * math.sqrt(1 - (then / now) ** 2)
        down = math.sqrt(then**2 - up**2)
        slope = (x - two_bells(x, now)) / now
        if then:
            between = middle(now, down)
            half = x + slope * (between - now)
            slope = (half - two_bells(half, between)) / between
        x = x + slope * (down - now) + (next(noises) * up if then else 0)
    assert float((run.end - x).abs().mean()) < 1e-3


@pytest.mark.parametrize("name", ["DPM++ 2M", "DPM++ 2M SDE"])
def test_the_second_order_goes_by_its_midpoint_rule(name: str) -> None:
    """Also where the plain name is far from exact: so are its last two even steps elsewhere."""
    run = Run(name, 20, two_bells)
    x, noises, levels = run.start, run.noises(), run.levels.tolist()
    fresh = 2 if "SDE" in name else 1
    before: tuple[float, torch.Tensor] | None = None
    for now, then in itertools.pairwise(levels):
        clean = two_bells(x, now)
        if then == 0:
            x = clean
            break
        guess = clean
        if before is not None:
            guess = clean + (clean - before[1]) * math.log(now / then) / math.log(before[0] / now) / 2
        x = x * (then / now) ** fresh + guess * (1 - (then / now) ** fresh)
        if fresh == 2:
            x = x + next(noises) * then * math.sqrt(1 - (then / now) ** 2)
        before = (now, clean)
    assert float((run.end - x).abs().mean()) < 1e-3


@pytest.mark.parametrize("name", ["DPM++ SDE", "DPM++ SDE Karras", "DPM++ SDE SGM Uniform"])
def test_the_noise_of_dpmpp_sde_is_a_path_between_its_own_levels(name: str) -> None:
    """Between other bounds it would be another path, and another picture than AUTOMATIC1111's."""
    scheduler = build(*JOINED[name], SDXL, 12, 77)
    scheduler.set_timesteps(12)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * scheduler.init_noise_sigma
    seen = scheduler.scale_model_input(x, scheduler.timesteps[0])
    scheduler.step(torch.zeros_like(seen), scheduler.timesteps[0], x)
    levels = torch.unique_consecutive(scheduler.sigmas)[:-1]
    path = torchsde.BrownianInterval(
        float(levels[-1]), float(levels[0]), tuple(x.shape), torch.float32, entropy=77, tol=1e-6,
        pool_size=24, halfway_tree=True,
    )  # fmt: skip
    for high, low in ((levels[0], levels[1]), (levels[4], levels[6]), (levels[-3], levels[-2])):
        wanted = -path(float(low), float(high)) / (high - low).sqrt()
        assert torch.allclose(scheduler.noise_sampler(high, low), wanted, atol=1e-4)
    assert torch.isfinite(scheduler.noise_sampler(levels[-2], levels[-1])).all()
