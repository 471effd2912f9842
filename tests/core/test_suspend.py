"""A job that is put aside goes on as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from making import copy_of, lora
from PIL import Image
from recorder import Recorder
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from webbduck_gradio.core import origin
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation, GeneratedImage, UnfinishedState
from webbduck_gradio.core.unfinished import DAMAGED, FOREIGN
from webbduck_gradio.errors import GenerationError, ModelError, SuspendedError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.request.samplers import AUTOMATIC, SAMPLERS, fewest_steps, joined_name, sampler_named

STARTER = "webbduck-starter"
REFINER = "refiner"

MODES: dict[str, dict[str, Any]] = {
    "text2img": {"prompt": "a (red:1.4) duck on a [pond]"},
    "img2img": {"image": True, "strength": 0.8},
    "inpaint": {"image": True, "mask": True, "strength": 0.9, "masked_content": "original"},
    "inpainting checkpoint": {"image": True, "mask": True, "base_model": "painter"},
    "img2img second pass": {"second_pass_model": STARTER, "refinement_strength": 0.6},
    "refiner": {"second_pass_model": REFINER, "refiner_switch": 0.5},
    "LoRA": {"loras": [{"name": "whole", "weight": 0.7}]},
}


class Saver(Recorder):
    """Writes the state after each step to a file of its own; with `until`, is put aside there."""

    def __init__(self, folder: Path, until: int | None = None):
        super().__init__()
        self.folder, self.until = folder, until
        self.files: list[Path] = []
        self.states: list[UnfinishedState] = []

    def wants_state(self) -> bool:
        return True

    def state(self, state: UnfinishedState) -> None:
        assert (state.index, state.step, state.total) == self.steps[-1]
        self.files.append(self.folder / f"{len(self.files)}.safetensors")
        self.states.append(state)
        with self.files[-1].open("wb") as file:
            state.write(file)

    def check(self) -> None:
        if self.until is not None and len(self.steps) >= self.until:
            raise SuspendedError("Put aside.")


Pictures = list[GeneratedImage]
Draw = Callable[..., Pictures]


@pytest.fixture(scope="module")
def new(registry) -> Callable[[], ImageGenerator]:
    """A generator that has loaded nothing, as after a restart."""
    return lambda: ImageGenerator("cpu", registry, inputs=InputImageStore(registry.settings))


@pytest.fixture(scope="module")
def draw(generator, registry, ask, image, mask) -> Draw:
    def make(
        reporter: Recorder | None = None,
        on: Continuation | None = None,
        by: ImageGenerator | None = None,
        **fields: Any,
    ) -> Pictures:
        given = {"image": image, "mask": mask}
        request = ask(**{name: given[name] if value is True else value for name, value in fields.items()})
        checkpoint = registry.checkpoint(request.base_model)
        return list(
            (by or generator).generate(request, checkpoint, reporter or Recorder(), on or Continuation())
        )

    return make


@pytest.fixture
def put_aside(draw, tmp_path) -> Callable[..., Path]:
    """The state of a job that was put aside after `after` steps."""

    def make(after: int = 2, **fields: Any) -> Path:
        saver = Saver(tmp_path, after)
        with pytest.raises(SuspendedError):
            draw(saver, **fields)
        return saver.files[-1]

    return make


def seen(pictures: Pictures) -> list[tuple[Any, ...]]:
    """All that must be equal."""
    return [(each.index, each.seed, each.image.tobytes(), each.warnings, each.facts) for each in pictures]


def fewest(name: str) -> int:
    return fewest_steps(sampler_named(name), AUTOMATIC)


@pytest.mark.parametrize("name", [each.name for each in SAMPLERS])
def test_each_sampler_goes_on_after_a_restart(draw, put_aside, new, name: str) -> None:
    asked = {"scheduler": joined_name(name, AUTOMATIC), "steps": max(4, fewest(name))}
    whole = Recorder()
    expected = draw(whole, **asked)
    # In the middle, where multistep samplers remember; DPM fast has a single step of order 2 before the last.
    state = put_aside(max(1, len(whole.steps) - 2), **asked)
    rest = Recorder()
    assert seen(draw(rest, Continuation(0, state), new(), **asked)) == seen(expected)
    assert rest.steps == whole.steps[len(whole.steps) - len(rest.steps) :]
    assert 0 < len(rest.steps) < len(whole.steps)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_goes_on_after_each_step(draw, tmp_path, mode: str) -> None:
    asked = MODES[mode] | {"scheduler": "DPM++ 3M SDE", "steps": 6}
    expected = seen(draw(**asked))
    saver = Saver(tmp_path)
    assert seen(draw(saver, **asked)) == expected
    for number, state in enumerate(saver.files):
        rest = Recorder()
        assert seen(draw(rest, Continuation(0, state), **asked)) == expected, number
        assert rest.steps == saver.steps[number + 1 :]


def test_a_batch_goes_on_within_its_second_image(draw, tmp_path) -> None:
    asked = {"num_images": 3, "scheduler": "Euler a"}
    expected = seen(draw(**asked))
    saver = Saver(tmp_path)
    draw(saver, **asked)
    for state, (index, step, _) in zip(saver.files, saver.steps, strict=True):
        if index == 1:
            assert seen(draw(on=Continuation(1, state), **asked)) == expected[1:], step
    assert seen(draw(on=Continuation(2), **asked)) == expected[2:]
    assert draw(on=Continuation(3), **asked) == []


def test_it_can_be_put_aside_again_and_again(draw, tmp_path) -> None:
    asked = {"scheduler": "DPM++ 2M SDE", "steps": 5}
    on = Continuation()
    for number in range(5):
        saver = Saver(tmp_path, 1)
        with pytest.raises(SuspendedError):
            draw(saver, on, **asked)
        assert saver.steps == [(0, number + 1, 5)]
        on = Continuation(0, saver.files[-1].rename(tmp_path / f"again {number}"))
    assert seen(draw(on=on, **asked)) == seen(draw(**asked))


def test_a_state_stays_as_it_was_while_the_job_goes_on(draw, tmp_path) -> None:
    """Another thread may write it later."""
    saver = Saver(tmp_path)
    draw(saver, scheduler="DPM adaptive")
    for file, state in zip(saver.files, saver.states, strict=True):
        with (tmp_path / "later").open("wb") as later:
            state.write(later)
        assert (tmp_path / "later").read_bytes() == file.read_bytes()


def test_the_header_tells_how_far_it_is(put_aside) -> None:
    with safe_open(put_aside(3, num_images=2, steps=5), framework="pt") as file:
        texts = file.metadata()
    told = {name: texts[name] for name in ("format", "index", "step", "total")}
    assert told == {"format": "webbduck-unfinished-1", "index": "0", "step": "3", "total": "5"}


def test_no_state_is_made_unless_one_is_wanted(draw, monkeypatch) -> None:
    monkeypatch.setattr("webbduck_gradio.core.image_generator.origin_of", None)
    draw()


@pytest.mark.slow
def test_fifty_random_steps_of_random_jobs(draw, tmp_path) -> None:
    chance = random.Random(15)
    for number in range(50):
        sampler = chance.choice(SAMPLERS)
        mode = chance.choice([each for each in MODES if each != "refiner" or sampler.can_be_split])
        steps = max(chance.randint(4, 12), fewest(sampler.name))
        schedule = chance.choice(sampler.schedules or [AUTOMATIC])
        asked = MODES[mode] | {"sampler": sampler.name, "schedule": schedule, "steps": steps, "seed": number}
        saver = Saver(tmp_path)
        expected = draw(saver, **asked)
        state = chance.choice(saver.files)
        assert seen(draw(on=Continuation(0, state), **asked)) == seen(expected), (asked, state.stem)
