"""Each sampler recovers a known distribution with an exact denoiser, and draws with the starter."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import numpy
import pytest
import torch

from webbduck_gradio.core.sampling.schedulers import build
from webbduck_gradio.errors import RequestError
from webbduck_gradio.request import SCHEDULERS
from webbduck_gradio.request.samplers import (
    AUTOMATIC,
    JOINED,
    SAMPLERS,
    UNIFORM,
    Sampler,
    fewest_steps,
    sampler_named,
)

PRISTINE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
DRAWN_BEFORE: dict[str, dict[str, list[float]]] = json.loads(
    Path(__file__).with_name("drawn_before.json").read_text("utf-8")
)
MEAN, DEVIATION = 0.7, 0.4
PRECISE = {"Heun", "LMS"} | {
    name for name in SCHEDULERS if name.endswith(("Karras", "Exponential")) and not name.startswith("Euler")
}
"""Of higher order and small last steps: what they draw is as wide as it should be, to three hundredths."""
WIDE = {"DPM++ 2M SDE": 0.2}
"""Its midpoint rule overshoots in the last of the even steps, by its definition."""


def spread(name: str, otherwise: float) -> float:
    """How far from the true deviation a sampler may be."""
    return 0.012 if name in PRECISE else WIDE.get(name, otherwise)


def exact(scheduler, sample: torch.Tensor, timestep: float, prediction: str) -> torch.Tensor:
    """What a perfect model of N(0.7, 0.4) puts out for `sample`, a unit-variance one, at `timestep`."""
    product = scheduler.alphas_cumprod.clamp(min=1e-12)
    log_sigma = ((1 - product) / product).sqrt().log()
    low = int(timestep)
    part = timestep - low
    sigma = float((log_sigma[low] * (1 - part) + log_sigma[min(low + 1, 999)] * part).exp())
    alpha = 1 / math.sqrt(1 + sigma**2)
    noise = sigma * alpha
    variance = alpha**2 * DEVIATION**2 + noise**2
    clean = MEAN + alpha * DEVIATION**2 / variance * (sample - alpha * MEAN)
    epsilon = (sample - alpha * clean) / noise
    return epsilon if prediction == "epsilon" else alpha * epsilon - noise * clean


def run(scheduler, timesteps, x: torch.Tensor, generator: torch.Generator, prediction: str) -> torch.Tensor:
    more = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for timestep in timesteps:
        sample = scheduler.scale_model_input(x, timestep)
        output = exact(scheduler, sample, float(timestep), prediction)
        x = scheduler.step(output, timestep, x, **more, return_dict=False)[0]
    return x


def made(name: str, steps: int, prediction: str = "epsilon", **config: object):
    scheduler = build(*JOINED[name], PRISTINE | {"prediction_type": prediction} | config, steps, seed=0)
    scheduler.set_timesteps(steps)
    return scheduler


def begin_at(scheduler, index: int) -> None:
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)


def recovered(name: str, steps: int, prediction: str = "epsilon", **config: object) -> tuple[float, float]:
    """Mean and deviation of what the sampler draws from noise."""
    scheduler = made(name, steps, prediction, **config)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 50, 50, generator=generator) * scheduler.init_noise_sigma
    x = run(scheduler, scheduler.timesteps, x, generator, prediction)
    return float(x.mean()), float(x.std())


def recovered_from_a_picture(name: str, steps: int, strength: float, prediction: str) -> tuple[float, float]:
    """The same from noised samples of the distribution, as img2img starts."""
    scheduler = made(name, steps, prediction)
    generator = torch.Generator().manual_seed(0)
    start = (steps - int(steps * strength)) * scheduler.order
    timesteps = scheduler.timesteps[start:]
    begin_at(scheduler, start)
    x = torch.randn(1, 4, 50, 50, generator=generator) * DEVIATION + MEAN
    x = scheduler.add_noise(x, torch.randn(x.shape, generator=generator), timesteps[:1])
    x = run(scheduler, timesteps, x, generator, prediction)
    return float(x.mean()), float(x.std())


def recovered_in_two(name: str, steps: int, switch: float, prediction: str) -> tuple[float, float]:
    """The same with a fresh sampler from `switch` on, as diffusers hands over to a refiner."""
    first, second = made(name, steps, prediction), made(name, steps, prediction)
    generator = torch.Generator().manual_seed(0)
    cutoff = round(1000 - switch * 1000)
    begin_at(first, 0)
    x = torch.randn(1, 4, 50, 50, generator=generator) * first.init_noise_sigma
    x = run(first, first.timesteps[: int((first.timesteps >= cutoff).sum())], x, generator, prediction)
    left = int((second.timesteps < cutoff).sum())
    left += second.order == 2 and left % 2 == 0
    start = len(second.timesteps) - left
    begin_at(second, start)
    x = run(second, second.timesteps[start:], x, generator, prediction)
    return float(x.mean()), float(x.std())


def sampler_of(name: str) -> Sampler:
    return sampler_named(JOINED[name][0])


def fewest(name: str) -> int:
    return fewest_steps(sampler_of(name), JOINED[name][1])


@pytest.mark.parametrize("name", DRAWN_BEFORE)
def test_each_name_of_before_draws_what_it_drew(name: str) -> None:
    """Four values of what came out before samplers and schedules were two things."""
    for steps, expected in DRAWN_BEFORE[name].items():
        scheduler = made(name, int(steps))
        begin_at(scheduler, 0)
        generator = torch.Generator().manual_seed(4)
        x = torch.randn(1, 4, 2, 2, generator=generator) * scheduler.init_noise_sigma
        x = run(scheduler, scheduler.timesteps, x, generator, "epsilon")
        assert x.flatten()[:4].tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("sampler", [each for each in SAMPLERS if each.automatic], ids=lambda each: each.name)
def test_automatic_is_the_schedule_that_the_table_says(sampler: Sampler) -> None:
    both = [build(sampler.name, schedule, PRISTINE, 20, 0) for schedule in (AUTOMATIC, sampler.automatic)]
    for scheduler in both:
        scheduler.set_timesteps(20)
    assert torch.equal(both[0].timesteps, both[1].timesteps)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_known_distribution_is_recovered(name: str, prediction: str) -> None:
    mean, deviation = recovered(name, 30, prediction)
    assert mean == pytest.approx(MEAN, abs=0.035)
    assert deviation == pytest.approx(DEVIATION, abs=spread(name, 0.075))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_it_is_recovered_from_a_picture_too(name: str, prediction: str) -> None:
    for steps, strength in ((30, 0.6), (20, 0.3)):
        mean, deviation = recovered_from_a_picture(name, steps, strength, prediction)
        assert mean == pytest.approx(MEAN, abs=0.04)
        assert deviation == pytest.approx(DEVIATION, abs=spread(name, 0.09))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_split_schedule_loses_nothing_where_it_is_allowed(name: str, prediction: str) -> None:
    lost = max(
        abs(recovered_in_two(name, 30, switch, prediction)[1] - recovered(name, 30, prediction)[1])
        for switch in (0.8, 0.5)
    )
    assert (lost > 0.027) != sampler_of(name).can_be_split, lost


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 10, 12])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_few_steps_start_at_the_top_and_never_overshoot(name: str, steps: int) -> None:
    """With few steps the spread may be too small (a blurred mean), but neither the mean nor noise is left."""
    if steps < fewest(name):
        pytest.skip("refused")
    mean, deviation = recovered(name, steps)
    assert mean == pytest.approx(MEAN, abs=0.05)
    assert deviation < (0.65 if name in ("DPM++ 2M SDE", "DPM2 a Karras") else 0.56)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_zero_terminal_snr_starts_from_pure_noise_where_the_sampler_knows_it(name: str) -> None:
    scheduler = build(*JOINED[name], PRISTINE | {"rescale_betas_zero_snr": True}, 30, 0)
    scheduler.set_timesteps(30)
    rescales = "rescale_betas_zero_snr" in scheduler.config and float(scheduler.alphas_cumprod[-1]) < 1e-6
    # Exponential steps of diffusers begin one below the top, where something of the picture is left.
    assert (rescales and float(scheduler.timesteps[0]) == 999) == sampler_of(name).has_zero_snr


def test_nothing_of_one_sampler_stays_in_the_next() -> None:
    for name in SCHEDULERS:
        build(*JOINED[name], PRISTINE, 20, 0)
    assert build("DPM++ 2M", UNIFORM, PRISTINE, 20, 0).config.use_karras_sigmas is False
    assert build("DPM++ 2M", UNIFORM, PRISTINE, 20, 0).config.algorithm_type == "dpmsolver++"


def test_distilled_checkpoints_keep_their_trailing_steps() -> None:
    scheduler = build("Euler", UNIFORM, PRISTINE | {"timestep_spacing": "trailing"}, 20, 0)
    scheduler.set_timesteps(20)
    assert float(scheduler.timesteps[-1]) == 49


def test_each_sampler_draws_its_own_finite_picture(paint) -> None:
    pictures = {name: paint(scheduler=name, steps=12)[0] for name in SCHEDULERS}
    assert len({picture.tobytes() for picture in pictures.values()}) == len(SCHEDULERS)
    reference = pictures["Euler"].astype(float)
    for name, picture in pictures.items():
        assert picture.std() > 5, name
        # They draw the same motif: the same noise, the same prompt.
        assert numpy.abs(picture - reference).mean() < 60, name


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_sampler_draws_with_hardly_any_steps(paint, name: str, steps: int) -> None:
    if steps < fewest(name):
        with pytest.raises(RequestError, match=f"at least {fewest(name)} steps, not {steps}"):
            paint(scheduler=name, steps=steps)
        return
    assert paint(scheduler=name, steps=steps)[0].shape == (64, 64, 3)
