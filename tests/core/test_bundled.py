"""What the bundled models mean: the LoRAs change the style and keep the colour, the refiner sharpens."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import copy_of
from recorder import Recorder
from request_checks import validate

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import HOME, Settings
from webbduck_gradio.starter.drawing.styles import STYLES
from webbduck_gradio.starter.evaluation.measures import acutance, subject_colour
from webbduck_gradio.starter.evaluation.style_measures import MEASURES

STARTER, REFINER = "webbduck-starter", "webbduck-starter-refiner"
Paint = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def registry(starter_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A studio with the bundled models and nothing else."""
    root = tmp_path_factory.mktemp("bundled")
    settings = Settings(
        checkpoints=root / "checkpoint", loras=root / "lora", outputs=root / "out", inputs=root / "in"
    )
    settings.make_folders()
    for name in (STARTER, REFINER):
        copy_of(starter_checkpoints / "sdxl" / name, settings.checkpoints / "sdxl" / name)
    for path in (HOME / "lora").glob("webbduck-starter-*"):
        shutil.copyfile(path, settings.loras / path.name)
    shutil.copyfile(HOME / "lora" / "loras.json", settings.loras / "loras.json")
    return Registry(settings)


@pytest.fixture(scope="module")
def paint(registry: Registry) -> Paint:
    """One picture of a request, as the studio makes it."""
    generator = ImageGenerator("cpu", registry)

    def make(prompt: str, seed: int = 4, steps: int = 12, **fields: object) -> np.ndarray:
        asked = {"base_model": STARTER, "prompt": prompt, "seed": seed, "steps": steps}
        request = build_request(registry, asked | fields)
        validate(registry, request)
        checkpoint = registry.checkpoint(request.base_model)
        (picture,) = generator.generate(request, checkpoint, Recorder())
        return np.asarray(picture.image)

    return make


def test_the_catalog_knows_what_they_are(registry: Registry) -> None:
    assert registry.problems == ()
    default = registry.default_checkpoint()
    assert default is not None
    assert default.name == STARTER
    assert registry.checkpoint(REFINER).arch == "sdxl-refiner"
    assert [each.name for each in registry.second_pass_models()] == [STARTER, REFINER]
    loras = registry.loras(STARTER)
    assert [each.name for each in loras] == [f"webbduck-starter-{style}" for style in sorted(STYLES)]
    for lora in loras:
        style = lora.name.removeprefix("webbduck-starter-")
        assert (lora.trigger, lora.arch, lora.unusable) == (STYLES[style].trigger, "sdxl", None)
        assert lora.description
        assert lora.size_bytes < 1_000_000
        assert lora.path.with_suffix(".preview.jpg").is_file()


@pytest.mark.parametrize("style", STYLES)
def test_a_lora_changes_the_style_and_keeps_the_colour(style: str, paint: Paint) -> None:
    name, measure = f"webbduck-starter-{style}", MEASURES[style][1]

    def with_weight(prompt: str, seed: int, weight: float) -> np.ndarray:
        return paint(prompt, seed, loras=[{"name": name, "weight": weight}])

    for seed, colour in ((4, "yellow"), (5, "blue")):
        prompt = f"{STYLES[style].trigger}, a {colour} duck in a meadow on a sunny day"
        bare, whole = paint(prompt, seed), with_weight(prompt, seed, 1)
        assert measure(whole) > 1.3 * measure(bare)
        assert subject_colour(bare, "duck", "meadow", "day") == colour
        assert subject_colour(whole, "duck", "meadow", "day", STYLES[style].tone) == colour
    small: dict[str, Any] = {"width": 64, "height": 64, "steps": 2}
    assert np.array_equal(paint(prompt, **small), paint(prompt, **small, loras=[{"name": name, "weight": 0}]))
    assert measure(bare) < measure(with_weight(prompt, seed, 0.5)) < measure(whole)


def test_the_refiner_sharpens_and_keeps_the_picture(paint: Paint) -> None:
    prompt = "a red duck wearing a blue cap in the snow on a sunny day"
    for seed in (4, 5):
        alone = paint(prompt, seed, steps=20)
        finished = paint(prompt, seed, steps=20, second_pass_model=REFINER, refiner_switch=0.8)
        assert acutance(finished) > 1.01 * acutance(alone)
        assert np.abs(finished.astype(int) - alone).mean() < 12
        assert subject_colour(finished, "duck", "snow", "day") == "red"
