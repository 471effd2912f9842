"""The sigmas that a request comes to, against what their names are defined by."""

from __future__ import annotations

import numpy
import pytest
from perfect import levels, sampler_of

from webbduck_gradio.request import SCHEDULERS
from webbduck_gradio.request.samplers import JOINED, UNIFORM

PRODUCT = numpy.cumprod(1 - numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
SIGMAS = numpy.sqrt((1 - PRODUCT) / PRODUCT)
DEFINED = {"Karras": "Karras", "Exponential": "Exponential", "SGM Uniform": "SGM Uniform", UNIFORM: UNIFORM}


def defined(schedule: str, steps: int, discards: bool) -> numpy.ndarray:
    """The levels by the schedules' definitions, the zero at the end left out."""
    count, (low, high) = steps + discards, (SIGMAS[0], SIGMAS[-1])
    if schedule == "Karras":
        laid = numpy.linspace(high ** (1 / 7), low ** (1 / 7), count) ** 7
    elif schedule == "Exponential":
        laid = numpy.geomspace(high, low, count)
    else:
        places = numpy.linspace(999, 0, count + (schedule == "SGM Uniform"))[:count]
        laid = numpy.exp(numpy.interp(places, numpy.arange(1000), numpy.log(SIGMAS)))
    return laid[:steps]


NAMES = [name for name in SCHEDULERS if JOINED[name][1] in DEFINED]


@pytest.mark.parametrize("steps", [5, 25])
@pytest.mark.parametrize("name", NAMES)
def test_the_noise_levels_are_those_of_the_name(name: str, steps: int) -> None:
    discards, schedule = sampler_of(name).discards_penultimate, JOINED[name][1]
    if steps < 10 and schedule == UNIFORM and not discards:
        schedule = (
            "SGM Uniform"  # on purpose, and stated in the help: even steps that end at 0 overshoot here
        )
    *found, last = levels(name, steps)
    assert last == 0 and found == pytest.approx(defined(schedule, steps, discards), rel=1e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if JOINED[name][1] in ("Karras", "Exponential")])
def test_they_go_down_to_the_end_on_checkpoints_that_ask_for_trailing_steps(name: str) -> None:
    found = levels(name, 8, timestep_spacing="trailing")[:-1]
    assert found == pytest.approx(
        defined(JOINED[name][1], 8, sampler_of(name).discards_penultimate), rel=1e-4
    )


def test_distilled_checkpoints_keep_their_trailing_steps() -> None:
    found = levels("Euler", 20, timestep_spacing="trailing")
    assert found == levels("Euler SGM Uniform", 20) and found != levels("Euler", 20)


def test_zero_terminal_snr_changes_the_top_and_not_the_bottom() -> None:
    for name in ("Euler Karras", "DPM++ 2M Karras"):
        found = levels(name, 28, timestep_spacing="trailing", rescale_betas_zero_snr=True)
        assert found[0] > 4000 and found[-2] == pytest.approx(SIGMAS[0], rel=0.01)


def test_two_names_are_two_samplers() -> None:
    for name in ("DPM++ 2M", "Euler", "DPM++ SDE"):
        assert abs(levels(name, 20)[-2] / levels(f"{name} SGM Uniform", 20)[-2] - 1) > 0.5
