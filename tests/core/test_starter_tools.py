"""The bundled upscaler and captioner do what they are for: judged by meaning, with the committed weights."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import torch
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core.captioning import caption
from webbduck_gradio.models.captioners import STYLES, Captioner
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.upscalers import Upscaler
from webbduck_gradio.settings import Settings
from webbduck_gradio.starter.captions.templates import UNKNOWN, read
from webbduck_gradio.starter.evaluation.captioner import held_out, shares
from webbduck_gradio.starter.evaluation.upscaler import compare, held_out_drawings, photographs


@pytest.fixture(scope="module")
def bundled(starter_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("bundled")
    settings = Settings(
        checkpoints=starter_checkpoints, loras=folder / "lora", outputs=folder / "out", inputs=folder / "in"
    )
    return Registry(settings)


@pytest.fixture(scope="module")
def upscaler(bundled: Registry) -> Upscaler:
    found = bundled.upscaler(None if len(bundled.upscalers()) == 1 else "webbduck-starter-x2")
    assert found is not None
    assert found.size_bytes <= 2_000_000
    return found


@pytest.fixture(scope="module")
def captioner(bundled: Registry) -> Captioner:
    found = bundled.captioner("webbduck-starter-captioner")
    assert sum(path.stat().st_size for path in found.path.iterdir()) <= 10_000_000
    return found


def told(captioner: Captioner, picture: Image.Image, style: str = "detailed") -> tuple[str, tuple[str, ...]]:
    return caption(picture, captioner, style, 200, "cpu", torch.float32)


def test_a_larger_drawing_is_nearer_to_the_true_one_than_lanczos(upscaler: Upscaler) -> None:
    drawings = held_out_drawings(4)
    for kernel in ("area", "soft"):
        gains = [compare(drawing, kernel, upscaler.path).gain for drawing in drawings]
        assert statistics.fmean(gains) >= 1.0
    (large,) = held_out_drawings(1, side=1024)
    assert compare(large, "area", upscaler.path, scale=4).gain > 0.5


def test_photographs_are_not_harmed(upscaler: Upscaler) -> None:
    for name, picture in photographs()[:3]:
        assert compare(picture, "bicubic", upscaler.path).gain >= -0.1, name


def test_captions_name_colour_subject_and_scene(captioner: Captioner) -> None:
    drawn = held_out(16, seed=99)
    captions = [told(captioner, Image.fromarray(picture))[0] for picture, _ in drawn]
    found = shares(captions, [attributes for _, attributes in drawn])
    for name in ("colour", "subject", "setting", "time"):
        assert found[name] >= 0.85, captions


def test_every_style_says_the_same_in_its_own_words(captioner: Captioner) -> None:
    (picture, attributes), *_ = held_out(1, seed=5)
    said = {style: told(captioner, Image.fromarray(picture), style) for style in STYLES}
    assert len({text for text, _ in said.values()}) == len(STYLES)
    for text, warnings in said.values():
        assert read(text)["colour"] == attributes.colour
        assert read(text)["setting"] == attributes.setting
        assert len(warnings) == 1
        assert "knows only cartoon scenes" in warnings[0]
    assert said["booru"][0].count(",") >= 4
    assert len(said["short"][0]) < len(said["detailed"][0]) / 2


def test_a_painted_picture_is_described_and_a_photograph_is_not_called_a_duck(
    captioner: Captioner, generator, starter, ask
) -> None:
    request = ask(prompt="a red duck on a pond at night", width=256, height=256, steps=12)
    (picture,) = generator.generate(request, starter, Recorder())
    assert told(captioner, picture.image, "short")[0] == "a red duck on a pond at night"
    unknown = [told(captioner, Image.fromarray(photo))[0] == UNKNOWN for _, photo in photographs()]
    assert sum(unknown) >= len(unknown) - 1
