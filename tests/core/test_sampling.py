"""Each sampler on each schedule recovers a known distribution, and draws with the starter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch
from perfect import DEVIATION, MEAN, Trial, fewest, levels, path, sampler_of, spread

from webbduck_gradio.core.sampling.samplers import SOLVERS
from webbduck_gradio.core.sampling.schedules import SCHEDULES as COMPUTED
from webbduck_gradio.errors import RequestError
from webbduck_gradio.request.samplers import (
    AUTOMATIC,
    JOINED,
    SAMPLERS,
    SCHEDULES,
    Sampler,
    joined_name,
    schedule_record,
)

RECORDED: dict[str, dict[str, list[float]]] = json.loads(
    Path(__file__).with_name("drawn_before.json").read_text("utf-8")
)
OF_EACH_SAMPLER = [joined_name(each.name, AUTOMATIC) for each in SAMPLERS]
TOO_WIDE = {"DPM++ 2M SDE": 0.16, "DPM++ 2M SDE Heun": 0.29, "DPM++ 3M SDE": 0.12}
"""Where a schedule ends in a long step in log sigma, their extrapolation overshoots, by its definition."""
TOO_NARROW = {"Euler a": 0.12, "Euler a CFG++": 0.12, "DDPM": 0.12, "TCD": 0.09, "LCM": 0.17}
"""Of first order with new noise; LCM is not a solver of the SDE but jumps to the mean."""


@pytest.fixture(scope="module", autouse=True)
def paths() -> Iterator[None]:
    """They are forgotten after these tests, since together they take much memory."""
    yield
    path.cache_clear()


def tolerance(name: str) -> float:
    """How far from the true deviation a sampler may be after 30 steps."""
    sampler = sampler_of(name).name
    return TOO_WIDE.get(sampler) or TOO_NARROW.get(sampler) or 0.09


def test_the_core_has_each_sampler_and_schedule_of_the_table() -> None:
    assert set(SOLVERS) == {each.name for each in SAMPLERS}
    assert set(COMPUTED) == {each.name for each in SCHEDULES} - {AUTOMATIC}


@pytest.mark.parametrize("name", OF_EACH_SAMPLER)
def test_each_sampler_draws_what_it_drew(name: str) -> None:
    """Recorded values: where they change, `gallery.metadata.reproducibility.DRAWING` must change too."""
    for steps, expected in RECORDED[name].items():
        end = Trial(name, int(steps), shape=(4, 2, 2)).end()
        assert end.flatten()[:4].tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("sampler", [each for each in SAMPLERS if each.automatic], ids=lambda each: each.name)
def test_automatic_is_the_schedule_that_the_table_says(sampler: Sampler) -> None:
    assert sampler.automatic
    both = [levels(joined_name(sampler.name, each), 20) for each in (AUTOMATIC, sampler.automatic)]
    assert both[0] == both[1]


def names_of(sampler: Sampler) -> list[str]:
    """Its joined names with all schedules."""
    return [name for name, both in JOINED.items() if both[0] == sampler.name]


def some_names_of(sampler: Sampler) -> list[str]:
    """On Automatic and on a fourth of the others, another fourth for the next sampler: a solver sees noise
    levels, not where they come from. `test_it_is_recovered_on_every_schedule` has all pairs."""
    automatic = joined_name(sampler.name, AUTOMATIC)
    others = [name for name in names_of(sampler) if name != automatic]
    return [automatic, *others[SAMPLERS.index(sampler) % 4 :: 4]]


each_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda each: each.name)


def recovered(names: list[str]) -> None:
    for name in names:
        mean, deviation = spread(name)
        assert mean == pytest.approx(MEAN, abs=0.035), name
        assert deviation == pytest.approx(DEVIATION, abs=tolerance(name)), name


@each_sampler
def test_a_known_distribution_is_recovered(sampler: Sampler) -> None:
    recovered(some_names_of(sampler))


@pytest.mark.slow
@each_sampler
def test_it_is_recovered_on_every_schedule(sampler: Sampler) -> None:
    recovered(names_of(sampler))


@each_sampler
def test_it_is_recovered_from_a_picture_too(sampler: Sampler) -> None:
    for name in some_names_of(sampler):
        for steps, strength in ((30, 0.6), (20, 0.3)):
            end = Trial(name, steps, strength).end()
            assert float(end.mean()) == pytest.approx(MEAN, abs=0.04), name
            assert float(end.std()) == pytest.approx(DEVIATION, abs=tolerance(name) * 1.7), name


@each_sampler
def test_a_split_schedule_loses_nothing_where_it_is_allowed(sampler: Sampler) -> None:
    for name in some_names_of(sampler) if sampler.can_be_split else []:
        _, whole = spread(name)
        for switch in (0.8, 0.5):
            assert float(Trial(name, 30).end_in_two(switch).std()) == pytest.approx(whole, abs=0.05), name


@each_sampler
def test_few_steps_never_overshoot(sampler: Sampler) -> None:
    """With few steps the spread may be too small (a blurred mean), but neither the mean nor noise is left."""
    for name in some_names_of(sampler):
        for steps in (1, 2, 3, 5, 9, 12):
            if steps >= fewest(name):
                end = Trial(name, steps).end()
                assert float(end.mean()) == pytest.approx(MEAN, abs=0.1), (name, steps)
                assert float(end.std()) < (0.9 if sampler.name in TOO_WIDE else 0.62), (name, steps)


@each_sampler
def test_zero_terminal_snr_starts_from_pure_noise_where_the_schedule_suits(sampler: Sampler) -> None:
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    for name in some_names_of(sampler):
        schedule = schedule_record(sampler, JOINED[name][1])
        if schedule.name.startswith("Align Your Steps"):
            assert levels(name, 30, **zero)[0] == pytest.approx(14.6, abs=0.1)  # fixed levels
        elif schedule.has_zero_snr:
            assert schedule.name == "DDIM" or levels(name, 30, **zero)[0] > 4000
            end = Trial(name, 30, **zero).end()
            assert float(end.std()) == pytest.approx(DEVIATION, abs=tolerance(name) + 0.03), name
            assert float(end.mean()) == pytest.approx(MEAN, abs=0.05), name


def test_each_sampler_draws_its_own_finite_picture(paint) -> None:
    pictures = {name: paint(scheduler=name, steps=12)[0] for name in OF_EACH_SAMPLER}
    # Without new noise DDIM is Euler's method; what the two start with is their difference.
    assert len({picture.tobytes() for picture in pictures.values()}) == len(OF_EACH_SAMPLER)
    reference = pictures["Euler"].astype(float)
    for name, picture in pictures.items():
        assert picture.std() > 5, name
        # They draw the same motif: the same noise, the same prompt.
        assert numpy.abs(picture - reference).mean() < 60, name


@pytest.mark.parametrize("name", OF_EACH_SAMPLER)
def test_each_sampler_draws_with_hardly_any_steps(paint, name: str) -> None:
    steps = fewest(name)
    if steps > 1:
        with pytest.raises(RequestError, match=f"at least {steps} steps, not {steps - 1}"):
            paint(scheduler=name, steps=steps - 1)
    assert paint(scheduler=name, steps=steps)[0].shape == (64, 64, 3)


@pytest.mark.parametrize("name", OF_EACH_SAMPLER)
def test_the_clean_picture_is_found_in_each_step(name: str) -> None:
    """What previews show: it has the mean of the distribution and no more than its spread."""
    seen: list[torch.Tensor | None] = []
    end = Trial(name, 12).end(lambda state: seen.append(state.denoised))
    assert seen
    for clean in seen:
        assert clean is not None and float(clean.mean()) == pytest.approx(MEAN, abs=0.06)
        assert float(clean.std()) < (0.9 if sampler_of(name).name in TOO_WIDE else 0.6)
    assert seen[-1] is not None and float((seen[-1] - end).abs().mean()) < 0.08
