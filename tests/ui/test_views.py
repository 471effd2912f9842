"""What is shown of jobs and requests: words, numbers with units, nothing that had no say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webbduck_gradio.api import serializers, status_line
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.loras.tools import folders_view, tools_view
from webbduck_gradio.ui.studio.form import Form


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (32, "32nd"),
    ],
)
def test_ordinals(number: int, text: str) -> None:
    assert status_line.ordinal(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.84, "0.8 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (120, "2 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(value: float, text: str) -> None:
    assert status_line.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, ""),
        (0.4, ""),
        (0.6, ", about 1 s left"),
        (9.2, ", about 9 s left"),
        (12.4, ", about 12 s left"),
        (185, ", about 3 min 5 s left"),
    ],
)
def test_an_estimate_is_in_whole_seconds_and_never_of_none(value: float, text: str) -> None:
    assert status_line.time_left(value) == text


def test_a_clock_that_was_set_back_gives_no_duration_below_nothing(settings) -> None:
    store = JobStore(settings.data_dir / "jobs.sqlite3")
    job = store.submit(GenerationRequest.validated(base_model="x", seed=1))
    store.claim()
    store.finish(job.id, "completed")
    ended = store.get(job.id)
    store.close()
    assert status_line.status_line(replace(ended, started=100.0, finished=103.0)) == "Done in 3.0 s"
    assert status_line.status_line(replace(ended, started=3700.0, finished=100.0)) == "Done"


def test_settings_without_a_say_are_not_shown() -> None:
    plain = GenerationRequest.validated(base_model="x", prompt="a duck", seed=1).model_dump(mode="json")
    assert set(serializers.effective_settings(plain)) == {
        "base_model",
        "prompt",
        "seed",
        "width",
        "height",
        "steps",
        "cfg",
        "sampler",
        "schedule",
    }
    picture = "0" * 64 + ".png"
    masked = GenerationRequest.validated(base_model="x", seed=1, image=picture, mask=picture).model_dump(
        mode="json"
    )
    assert {"strength", "mask_blur", "inpainting_fill"} <= set(serializers.effective_settings(masked))


def test_what_the_second_pass_does_decides_which_of_its_settings_are_shown() -> None:
    request = GenerationRequest.validated(base_model="x", seed=1, second_pass_model="r").model_dump(
        mode="json"
    )
    over, on = {"refinement_strength"}, {"refiner_switch"}
    assert set(serializers.effective_settings(request, "refiner")) & (over | on) == on
    assert set(serializers.effective_settings(request, "img2img")) & (over | on) == over
    assert set(serializers.effective_settings(request | {"second_pass_mode": "refiner"})) & (over | on) == on
    assert set(serializers.effective_settings(request)) & (over | on) == over | on, (
        "nobody knows what auto came to"
    )


def test_settings_without_a_control_are_named_and_not_dropped_silently() -> None:
    form = Form(None, dict.fromkeys(["prompt", "base_model", "seed"]), None)  # type: ignore[arg-type]
    request = GenerationRequest.validated(base_model="x", seed=1, clip_skip=2, loras=[{"name": "ink"}])
    (note,) = form.missing_controls(request)
    assert "no control for it: loras, clip skip" in note
    assert "Ignored" not in str(
        form.missing_controls(GenerationRequest.validated(base_model="x", seed=1, prompt="a duck"))
    )


@pytest.mark.parametrize(
    "reached", [{"host": "0.0.0.0"}, {"share": True}, {"public_url": "https://duck.example"}]
)
def test_paths_are_told_only_where_nobody_else_can_open_the_page(settings: Settings, reached) -> None:
    folders = folders_view(settings)
    assert folders["checkpoint"] == str((settings.checkpoints / "sdxl").absolute())
    assert folders["lora"] == str(settings.loras.absolute())
    open_to_all = replace(settings, **reached)
    told = [
        *folders_view(open_to_all).values(),
        *(kind["folder"] for kind in tools_view(Registry(open_to_all))),
    ]
    assert [path for path in told if "/" in path or str(settings.loras.parent) in path] == []
