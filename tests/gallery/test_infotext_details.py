"""Detail passes in A1111's text: written and read with ADetailer's keys, defaults and suffixes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata import infotext
from webbduck_gradio.gallery.metadata.recall import read_text, understand
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import DetailPass, GenerationRequest
from webbduck_gradio.settings import Settings

DETECTOR = "webbduck-starter-detector"
LINE = "a duck\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512, {}, Version: v1.10.1"
OF_ADETAILER = (
    'ADetailer model: {0}.pt, ADetailer model classes: "duck head, hat", ADetailer prompt: "a face, '
    '[PROMPT] [SEP] [SKIP]", ADetailer negative prompt: fog, ADetailer confidence: 0.35, ADetailer '
    "method to decide top k masks: Confidence, ADetailer mask only top k: 2, ADetailer mask min ratio: "
    "0.01, ADetailer mask max ratio: 0.5, ADetailer dilate erode: -8, ADetailer mask blur: 6, ADetailer "
    "denoising strength: 0.45, ADetailer inpaint only masked: True, ADetailer inpaint padding: 64, "
    "ADetailer use separate steps: True, ADetailer steps: 28, ADetailer use separate CFG scale: True, "
    "ADetailer CFG scale: 5.5, ADetailer use separate sampler: True, ADetailer sampler: DPM++ 2M, "
    "ADetailer scheduler: Karras, ADetailer model 2nd: {0}.pt, ADetailer confidence 2nd: 0.3, ADetailer "
    "dilate erode 2nd: 4, ADetailer mask blur 2nd: 4, ADetailer denoising strength 2nd: 0.4, ADetailer "
    "inpaint only masked 2nd: True, ADetailer inpaint padding 2nd: 32, ADetailer version: 24.11.1"
)
FULL = {
    "detector": DETECTOR, "prompt": "a face, [PROMPT] [SEP] [SKIP]", "negative_prompt": "fog",
    "strength": 0.45,
    "confidence": 0.35, "padding": 64, "mask_blur": 6, "dilate": -8, "classes": ["duck head", "hat"],
    "order": "confidence", "count": 2, "min_area": 0.01, "max_area": 0.5, "steps": 28, "cfg": 5.5,
    "sampler": "DPM++ 2M", "schedule": "Karras",
}  # fmt: skip
FACE = "ADetailer model: face_yolov8n.pt, ADetailer inpaint only masked: True"
USUAL = DetailPass.validated(detector=DETECTOR).model_dump(mode="json")


@pytest.fixture
def recalled(settings: Settings, starter_checkpoints: Path):
    shutil.copytree(starter_checkpoints / "detect", settings.checkpoints / "detect")
    registry, inputs = Registry(settings), InputImageStore(settings)
    return lambda text: read_text(text, registry, inputs)


def test_what_adetailer_wrote_is_taken_over_without_a_note(recalled) -> None:
    values, notes = recalled(LINE.format(OF_ADETAILER.format(DETECTOR)))
    assert values["details"] == [FULL, USUAL]
    assert not [note for note in notes if "etail" in note]


def test_the_defaults_are_adetailers() -> None:
    assert {name: USUAL[name] for name in ("confidence", "dilate", "mask_blur", "strength", "padding")} == {
        "confidence": 0.3, "dilate": 4, "mask_blur": 4, "strength": 0.4, "padding": 32,
    }  # fmt: skip
    request = GenerationRequest.validated(base_model="x", seed=1, details=[USUAL])
    text = infotext.parameters_text(request, 1, version="WebbDuck 1")
    assert (
        f"ADetailer model: {DETECTOR}, ADetailer confidence: 0.3, ADetailer dilate erode: 4, ADetailer mask "
        "blur: 4, ADetailer denoising strength: 0.4, ADetailer inpaint only masked: True, ADetailer inpaint "
        "padding: 32, Version"
    ) in text


def test_a_written_text_has_adetailers_keys_alone(recalled) -> None:
    request = GenerationRequest.validated(base_model="x", seed=5, details=[FULL, USUAL])
    written = infotext.parse(infotext.parameters_text(request, 5, version="WebbDuck 1")).fields
    theirs = infotext.parse(LINE.format(OF_ADETAILER.format(DETECTOR))).fields
    ours = {key: value for key, value in written.items() if key.startswith("ADetailer")}
    assert ours == {
        key: value.removesuffix(".pt")
        for key, value in theirs.items()
        if key.startswith("ADetailer") and key != "ADetailer version"
    }


@pytest.mark.parametrize(
    "change",
    [
        {"order": "left to right"},
        {"order": "size"},
        {"order": "size", "count": 3},
        {"order": "left to right", "count": 3},
        {"order": "confidence", "count": 3},
        {"schedule": "Karras"},
        {"sampler": "Euler a"},
        {"prompt": 'a, b: c [SEP] "d"\n[SEP]', "negative_prompt": "x, y: z"},
        {"steps": 3, "strength": 1.0, "confidence": 1.0},
    ],
)
def test_each_setting_goes_through_a_text_and_back(change: dict[str, Any], recalled) -> None:
    passes = [USUAL, USUAL | change, USUAL | change]
    request = GenerationRequest.validated(base_model="x", seed=5, details=passes)
    values, _ = recalled(infotext.parameters_text(request, 5, version="WebbDuck 1"))
    assert values["details"] == passes


def test_a_detector_that_is_not_here_is_said_and_the_others_stay(recalled) -> None:
    text = LINE.format(
        "ADetailer model: face_yolov8n.pt, ADetailer confidence: 0.3, ADetailer inpaint only masked: True, "
        f"ADetailer model 3rd: {DETECTOR}, ADetailer confidence 3rd: 0.6, "
        "ADetailer inpaint only masked 3rd: True"
    )
    values, notes = recalled(text)
    assert values["details"] == [USUAL | {"confidence": 0.6}]
    assert "The detector face_yolov8n is not installed; its detail pass was left out." in notes


def test_what_cannot_be_done_is_named(recalled) -> None:
    text = LINE.format(
        f"ADetailer model: {DETECTOR}, ADetailer confidence: 0.0, ADetailer dilate erode: 4, "
        "ADetailer mask blur: much, ADetailer x offset: 5, ADetailer mask merge invert: Merge, "
        "ADetailer restore face: True, ADetailer ControlNet model: openpose, "
        "ADetailer use separate checkpoint: True, ADetailer checkpoint: lake"
    )
    values, notes = recalled(text)
    said = " ".join(notes)
    assert values["details"] == [USUAL]
    for part in (
        "confidence must be a number from 0.01 to 1", "blur of a detail pass cannot be read", "x offset 5",
        "merge invert Merge", "restore face True", "ControlNet model openpose", "checkpoint lake",
        "Detail pass 1 was drawn over the whole picture",
    ):  # fmt: skip
        assert part in said, part


def test_the_earlier_key_of_the_largest_regions_is_read(recalled) -> None:
    values, notes = recalled(
        LINE.format(
            f"ADetailer model: {DETECTOR}, ADetailer mask only top k largest: 1, "
            "ADetailer inpaint only masked: True"
        )
    )
    assert values["details"] == [USUAL | {"order": "size", "count": 1}]
    assert not [note for note in notes if "etail" in note]


def test_a_picture_without_catalog_keeps_the_name(tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", LINE.format(FACE))
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=info)
    assert understand(tmp_path / "x.png")["fields"]["details"] == [USUAL | {"detector": "face_yolov8n"}]
