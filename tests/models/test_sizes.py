"""Sizes beyond a checkpoint's, and the settings that it recommends for larger copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from model_files import SDXL, save
from PIL import Image

from webbduck_gradio.errors import RequestError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.context import JobContext
from webbduck_gradio.jobs.handlers import HANDLERS
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.advice import advice
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.sizes import redraw_warnings
from webbduck_gradio.request import RedrawRequest
from webbduck_gradio.settings import Settings

SMALL = "small"


@pytest.fixture
def registry(settings: Settings) -> Registry:
    """A checkpoint for small pictures with settings of its own, and an SDXL file that recommends nothing."""
    folder = settings.checkpoints / "sdxl"
    save(folder / "large.safetensors", SDXL)
    shutil.copytree((folder / STARTER).resolve(), folder / SMALL, copy_function=shutil.copyfile)
    own = {"hires_scale": 1.25, "hires_strength": 0.1, "redraw_strength": 0.05}
    (folder / SMALL / "webbduck.json").write_text(
        json.dumps({"defaults": own, "largest": 320, "largest_redrawn": 400})
    )
    return Registry(settings)


def said(registry: Registry, **fields) -> list[str]:
    return advice(registry, build_request(registry, {"prompt": "a duck", **fields}))


def test_each_pass_is_judged_by_its_own_size_and_strength(registry: Registry) -> None:
    assert said(registry, base_model="large") == []
    assert said(registry, base_model="large", hires_scale=2) == []
    assert said(registry, base_model="large", width=2048, height=2048) == [
        "2048 × 2048 px is 4 times the area that the checkpoint was trained on; expect repeated subjects."
    ]
    wide = {"base_model": "large", "width": 1344, "height": 768}
    assert said(registry, **wide, hires_scale=2.5, hires_strength=0.4) == []
    assert said(registry, **wide, hires_scale=2.5, hires_strength=0.6) == [
        "The hires pass: 3360 × 1920 px is 6.2 times the area that the checkpoint was trained on; above "
        "strength 0.5 expect repeated subjects."
    ]
    image = {"base_model": "large", "image": "0" * 64 + ".png", "width": 2048, "height": 2048}
    assert said(registry, **image, strength=0.7) == []
    assert len(said(registry, **image, strength=0.9)) == 1
    assert said(registry, **image, strength=0.9, outpaint={"left": 512}) == []


def test_a_checkpoint_says_how_large_it_draws(registry: Registry) -> None:
    assert registry.checkpoint(SMALL).largest == 320
    assert registry.checkpoint(SMALL).largest_redrawn == 400
    shapes = "up to which the checkpoint keeps shapes"
    fields = {"base_model": SMALL, "hires_scale": 2, "hires_strength": 0.05}
    assert said(registry, **fields) == [
        f"The hires pass: 512 × 512 px is larger than the 400 × 400 px {shapes}; expect distorted ones."
    ]
    assert said(registry, base_model=SMALL, hires_scale=1.5) == []
    assert said(registry, base_model=SMALL, hires_scale=1.5, hires_strength=0.2) == [
        f"The hires pass: 384 × 384 px is larger than the 320 × 320 px {shapes} above strength 0.1; expect "
        "distorted ones."
    ]


def test_the_strength_of_a_hires_pass_is_its_checkpoints(registry: Registry) -> None:
    recommended = registry.checkpoint(SMALL).defaults.hires_strength
    assert recommended != 0.5

    def strength(**fields) -> float:
        return build_request(registry, {"prompt": "a duck", **fields}).hires_strength

    assert strength(base_model=SMALL, hires_scale=2) == recommended
    assert strength(base_model=SMALL, hires_scale=2, hires_strength=0.4) == 0.4
    assert strength(base_model=SMALL, hires_scale=2, hires_model="large") == 0.5
    assert strength(base_model="large", hires_scale=2, hires_model=SMALL) == recommended
    assert strength(base_model=SMALL) == 0.5  # without a hires pass it is the request's own default


def test_redrawn_tiles_are_judged_too(registry: Registry) -> None:
    large = registry.checkpoint("large")
    assert redraw_warnings(large, (1024, 1024), 4, 0.5) == []
    assert redraw_warnings(large, (1024, 1024), 1, 0.7) == []
    assert redraw_warnings(large, (1024, 1024), 4, 0.55) == [
        "Strength 0.55 is above the 0.35 recommended for large; expect the prompt's subjects in single tiles."
    ]
    assert redraw_warnings(large, (2048, 2048), 1, 0.8) == [
        "The tiles: 2048 × 2048 px is 4 times the area that the checkpoint was trained on; expect repeated "
        "subjects."
    ]


@pytest.mark.parametrize(
    ("asked", "strength", "words"),
    [
        ({"steps": 40}, 0.05, ""),
        ({"steps": 4}, 0.25, "above the 0.05 recommended"),  # the least that leaves a step
        ({"steps": 40, "strength": 0.1}, 0.1, ""),
    ],
)
def test_a_redrawing_takes_what_the_checkpoint_recommends(
    settings: Settings, registry: Registry, asked: dict, strength: float, words: str
) -> None:
    context = JobContext(
        settings, registry, Outputs(settings), InputImageStore(settings), lambda: pytest.fail()
    )
    folder = settings.outputs / "2020-01-01_00-00-00"
    folder.mkdir()
    Image.new("RGB", (256, 256)).save(folder / "0.png")
    fields = {"image": f"{folder.name}/0.png", "base_model": SMALL, "prompt": "a duck", **asked}
    request, warnings = HANDLERS["redraw"].prepare(context, fields)
    assert isinstance(request, RedrawRequest)
    assert (request.scale, request.strength, request.tile_size) == (2.0, strength, 256)
    assert any(words in each for each in warnings) if words else not any("recom" in each for each in warnings)


def test_files_recommend_and_models_json_decides(settings: Settings) -> None:
    folder: Path = settings.checkpoints / "sdxl"
    own = json.dumps({"hires_scale": 1.5, "redraw_strength": 0.2})
    save(folder / "mine.safetensors", SDXL, metadata={"webbduck.defaults": own})
    registry = Registry(settings)
    registry.edit_checkpoint("mine", {"hires_strength": 0.4})
    defaults = registry.checkpoint("mine").defaults
    assert (defaults.hires_scale, defaults.hires_strength) == (1.5, 0.4)
    assert (defaults.redraw_scale, defaults.redraw_strength) == (2.0, 0.2)
    for key, value, why in (
        ("redraw_strength", 3, "redraw_strength must be a number above 0, up to 1"),
        ("redraw_scale", 0.5, "redraw_scale must be a number from 1 to 8"),
        ("hires_scale", 9, "hires_scale must be a number from 1 to 4"),
    ):
        with pytest.raises(RequestError, match=why):
            registry.edit_checkpoint("mine", {key: value})
