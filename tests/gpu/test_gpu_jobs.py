"""Jobs on a graphics card that are put aside, cancelled, or take turns."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from recorder import Recorder
from test_suspend import MODES, Saver, seen

from webbduck_gradio.core.progress import Continuation
from webbduck_gradio.errors import CancelledError, SuspendedError
from webbduck_gradio.request.samplers import AUTOMATIC, fewest_steps, sampler_named

SAMPLED = ["DPM++ 2M", "DPM++ 3M SDE", "DPM++ 2S a", "DPM adaptive", "Restart", "UniPC", "LMS"]
"""What a state holds differs most among these: memory, a Brownian path, two evaluations, steps of its own."""


def goes_on(draw: Any, by: Any, then: Any, folder: Any, after: int, **asked: Any) -> None:
    """Put aside after `after` steps and gone on with by `then`, it is bit-identical."""
    expected = seen(draw(by=by, **asked))
    saver = Saver(folder, until=after)
    with pytest.raises(SuspendedError):
        draw(saver, by=by, **asked)
    assert len(saver.files) == after
    assert seen(draw(on=Continuation(0, saver.files[-1]), by=then, **asked)) == expected


@pytest.mark.parametrize("sampler", SAMPLED)
def test_each_sampler_goes_on_bit_identically(draw, card, tmp_path, sampler: str) -> None:
    steps = max(6, fewest_steps(sampler_named(sampler), AUTOMATIC))
    goes_on(draw, card, card, tmp_path, 3, sampler=sampler, schedule=AUTOMATIC, steps=steps)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_goes_on_bit_identically(draw, card, tmp_path, mode: str) -> None:
    asked = {"sampler": "DPM++ 2M SDE", "steps": 6} | MODES[mode]
    goes_on(draw, card, card, tmp_path, 3, **asked)


def test_it_goes_on_after_a_restart_in_the_precision_of_the_card(draw, new, tmp_path) -> None:
    goes_on(draw, new(precision=None), new(precision=None), tmp_path, 4, sampler="DPM++ 2M SDE")


def test_pictures_drawn_together_go_on_together(draw, card, tmp_path) -> None:
    goes_on(draw, card, card, tmp_path, 3, num_images=3, batch_mode="together", sampler="Euler a")


@pytest.mark.parametrize("after", [1, 5])
def test_a_cancelled_job_ends_before_another_step(draw, card, starter, after: int) -> None:
    """All work for the card is queued by the host, so what it does not start it need not wait for."""
    unet = card.pipelines.get(starter, lambda text: None).pipe.unet
    forwards: list[int] = []
    hook = unet.register_forward_pre_hook(lambda *_: forwards.append(1))
    recorder = Recorder(cancel_after=after)
    try:
        with pytest.raises(CancelledError):
            draw(recorder, sampler="Euler", steps=50)
    finally:
        hook.remove()
    assert len(recorder.steps) == len(forwards) == after
    (first,), (again,) = draw(), draw()
    assert first.image == again.image


@pytest.mark.parametrize("policy", ["resident", "offload"])
def test_two_models_by_turns_draw_what_each_draws_alone(draw, new, policy: str) -> None:
    by, painter = new(policy), {"base_model": "painter", "image": True, "mask": True}
    turns = [draw(by=by, **asked)[0].image for asked in ({}, painter) * 3]
    assert turns[0] == turns[2] == turns[4] and turns[1] == turns[3] == turns[5]
    by.free()
    assert draw(by=by, **painter)[0].image == turns[1]


def test_all_memory_is_given_back_when_the_models_are_freed(draw, new, kind: str) -> None:
    """Workspaces of NVIDIA's libraries stay from the first job on, so the second one is looked at."""
    by = new()
    used = []
    for seed in (1, 2, 3):
        draw(by=by, seed=seed, loras=[{"name": "kohya", "weight": 1}], second_pass_model="refiner")
        models = [weakref.ref(each.pipe.unet) for each in by.pipelines.in_use]
        by.free()
        gc.collect()
        assert len(models) == 2 and [each() for each in models] == [None, None]
        used.append(torch.get_device_module(kind).memory_allocated() if kind in ("cuda", "xpu") else 0)
    assert abs(used[2] - used[1]) < 2**20 and by.describe()["in_memory"] == []
