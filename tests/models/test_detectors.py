"""Which detectors there are, what each finds, and why one cannot be used: told from headers alone."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx_files
import pytest
from model_files import save as save_safetensors

from webbduck_gradio.errors import ModelError, NotFoundError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.detectors import Detector, class_names
from webbduck_gradio.models.probe.onnx_header import read_onnx
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.loras.tools import tools_view

STARTER = "webbduck-starter-detector"
has_runtime = importlib.util.find_spec("onnxruntime") is not None


@pytest.fixture
def folder(settings: Settings) -> Path:
    (settings.checkpoints / "detect").mkdir()
    return settings.checkpoints / "detect"


@pytest.fixture
def found(settings: Settings, folder: Path) -> Callable[[], dict[str, Detector]]:
    return lambda: {each.name: each for each in Registry(settings).detectors()}


def transformers_folder(folder: Path, name: str, **config: object) -> Path:
    (folder / name).mkdir()
    said = {"model_type": "yolos", "id2label": {"0": "cat", "1": "dog"}} | config
    (folder / name / "config.json").write_text(json.dumps(said))
    save_safetensors(folder / name / "model.safetensors", {"weight": (2, 2)})
    return folder / name


def test_each_kind_is_listed_with_what_it_finds(
    folder: Path, found, settings: Settings, starter_checkpoints
) -> None:
    shutil.copyfile(
        starter_checkpoints / "detect" / f"{STARTER}.safetensors", folder / f"{STARTER}.safetensors"
    )
    onnx_files.yolo(folder / "faces" / "face_yolov8n.onnx")
    onnx_files.yolo(folder / "person-seg.onnx", masks=True, is_dynamic=True)
    transformers_folder(folder, "yolos-tiny")
    seen = found()
    assert list(seen) == ["faces/face_yolov8n", "person-seg", "yolos-tiny", STARTER]
    assert [each.classes for each in seen.values()] == [
        ("red", "blue"), ("red", "blue"), ("cat", "dog"), ("duck head", "hat"),
    ]  # fmt: skip
    assert [each.finds_masks for each in seen.values()] == [False, True, False, False]
    assert seen[STARTER].unusable is None is seen["yolos-tiny"].unusable
    assert seen[STARTER].size_bytes <= 3_000_000
    if has_runtime:
        assert seen["person-seg"].unusable is None
    else:
        assert "pip install onnxruntime" in (seen["person-seg"].unusable or "")
    (listed,) = (each for each in tools_view(Registry(settings)) if each["title"] == "Detectors")
    assert [each["name"] for each in listed["models"]] == list(seen)
    assert listed["models"][-1]["detail"] == "duck head, hat"


def test_a_name_is_found_as_other_programs_write_it(settings: Settings, folder: Path) -> None:
    transformers_folder(folder, "face_yolov8n")
    registry = Registry(settings)
    assert (
        registry.detector("face_yolov8n.pt").name == registry.detector("Face_YOLOv8n").name == "face_yolov8n"
    )
    with pytest.raises(NotFoundError, match="did you mean face_yolov8n"):
        registry.detector("face_yolov8s.pt")


def test_a_pickle_is_never_opened_and_says_how_to_convert_it(folder: Path, found, settings: Settings) -> None:
    class Burns:
        def __reduce__(self):
            return (exec, (f"open({str(folder / 'burnt')!r}, 'w').close()",))

    (folder / "face_yolov8n.pt").write_bytes(pickle.dumps(Burns()))
    (only,) = found().values()
    assert "yolo export model=face_yolov8n.pt format=onnx" in (only.unusable or "")
    with pytest.raises(ModelError, match="yolo export"):
        Registry(settings).detector("face_yolov8n.pt")
    assert not (folder / "burnt").exists()


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "C:\\weights.bin", "..\\x", "link.bin", ""]
)
def test_weights_outside_the_folder_are_refused(folder: Path, found, location: str) -> None:
    (folder.parent / "secret.bin").write_bytes(b"\0" * 4)
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    shape = onnx_files.value("images", (1, 3, 64, 64))
    onnx_files.save(folder / "far.onnx", [shape], [], weights=[onnx_files.outside("w", location)])
    assert "outside its folder" in (found()["far"].unusable or "")


def test_weights_beside_it_have_to_be_there(folder: Path, found) -> None:
    inside = (
        onnx_files.part(1, "value")
        + onnx_files.part(5, onnx_files.outside("w", "w.bin"))
        + onnx_files.number(20, 4)
    )
    constant = onnx_files.part(2, "w") + onnx_files.part(4, "Constant") + onnx_files.part(5, inside)
    shapes = [onnx_files.value("images", (1, 3, 64, 64))], [onnx_files.value("output0", (1, 5, 64))]
    onnx_files.save(folder / "two.onnx", *shapes, nodes=[constant], metadata={"names": "{0: 'face'}"})
    assert "needs w.bin beside it" in (found()["two"].unusable or "")
    (folder / "w.bin").write_bytes(b"\0" * 4)
    assert "beside it" not in (found()["two"].unusable or "")


IMAGES = onnx_files.value("images", (1, 3, 64, 64))
WHOLE = onnx_files.value("images", (1, 3, 64, 64), onnx_files.INT64)
LAYOUTS = {
    "two inputs": ([IMAGES, onnx_files.value("other", (1,))], [onnx_files.value("output0", (1, 6, 64))]),
    "one channel": ([onnx_files.value("images", (1, 1, 64, 64))], [onnx_files.value("output0", (1, 6, 64))]),
    "a classifier": ([IMAGES], [onnx_files.value("output0", (1, 1000))]),
    "YOLO v5": ([IMAGES], [onnx_files.value("output0", (1, 64, 7))]),
    "other names": ([IMAGES], [onnx_files.value("output0", (1, 9, 64))]),
    "whole numbers": ([WHOLE], [onnx_files.value("output0", (1, 6, 64))]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_layout_is_refused(name: str, folder: Path, found) -> None:
    inputs, outputs = LAYOUTS[name]
    onnx_files.save(folder / "x.onnx", inputs, outputs, metadata={"names": str(onnx_files.NAMES)})
    assert "is not laid out like YOLO v8 or v11" in (found()["x"].unusable or "")


@pytest.mark.parametrize("cut", [1, 7, 40, 300])
def test_a_damaged_file_is_said(folder: Path, found, cut: int) -> None:
    path = onnx_files.yolo(folder / "x.onnx")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ModelError, match="is no ONNX file or is damaged"):
        read_onnx(path)
    path.write_bytes(b"<!doctype html>")
    assert "is no ONNX file" in (found()["x"].unusable or "")
    path.write_bytes(b"")
    assert "is empty" in (found()["x"].unusable or "")


def test_a_file_or_folder_of_another_kind_is_said(folder: Path, found) -> None:
    save_safetensors(folder / "lora.safetensors", {"weight": (2, 2)}, {"architecture": "lora"})
    transformers_folder(folder, "blip", model_type="blip")
    transformers_folder(folder, "nameless", id2label=None)
    (transformers_folder(folder, "pickled") / "model.safetensors").unlink()
    reasons = {name: each.unusable for name, each in found().items()}
    assert "is no detector" in reasons["lora"]
    assert "is no detector" in reasons["blip"]
    assert "does not say what it finds" in reasons["nameless"]
    assert "no safetensors weights" in reasons["pickled"]


def test_class_names_are_read_and_never_run() -> None:
    assert class_names("{0: 'face', 1: \"hand\"}") == ("face", "hand")
    assert class_names('{"1": "hand", "0": "face"}') == ("face", "hand")
    for text in ("", "[]", "{}", "{0: __import__('os')}", "{1: 'face'}", "{" * 10_000, "{0: 'x'} + {}"):
        assert class_names(text) == ()
