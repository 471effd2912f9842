"""What detectors find: each layout decoded, and mapped back to the picture's own pixels."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy
import onnx_files
import pytest
import torch
from PIL import Image, ImageDraw

from webbduck_gradio.core import yolo
from webbduck_gradio.core.detection import Detectors, Region
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.detectors import Detector
from webbduck_gradio.settings import Settings

needs_runtime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)


def at(boxes: list[list[float]], scores: list[list[float]], more: int = 0) -> numpy.ndarray:
    """YOLO's output for boxes given as left, top, right, bottom, with the scores of each class."""
    rows = [
        [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, *score, *[0.0] * more]
        for (left, top, right, bottom), score in zip(boxes, scores, strict=True)
    ]
    return numpy.array([rows], numpy.float32).transpose(0, 2, 1)


def test_boxes_are_decoded_and_the_weaker_of_two_over_each_other_is_left_out() -> None:
    boxes = [[10, 10, 30, 30], [11, 10, 31, 30], [10, 10, 30, 30], [50, 50, 60, 70], [0, 0, 5, 5]]
    scores = [[0.6, 0.1], [0.9, 0.0], [0.0, 0.8], [0.4, 0.2], [0.29, 0.1]]
    found = yolo.decode(at(boxes, scores), 2, 0.3)
    assert found.boxes.tolist() == [boxes[1], boxes[2], boxes[3]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.4])
    assert found.classes.tolist() == [0, 1, 0]
    # A box of the same class stays where it covers less than the limit.
    apart = yolo.decode(at([[0, 0, 10, 10], [2, 0, 12, 10]], [[0.9], [0.8]]), 1, 0.3)
    assert len(apart.boxes) == 2
    broken = at(boxes[:2], scores[:2])
    broken[0, 0, 1] = numpy.nan
    assert yolo.decode(broken, 2, 0.3).boxes.tolist() == [boxes[0]]
    assert len(yolo.decode(numpy.zeros((1, 6, 0), numpy.float32), 2, 0.3).boxes) == 0


@pytest.mark.parametrize("size", [(640, 640), (1000, 500), (333, 777), (40, 30), (64, 1)])
@pytest.mark.parametrize("into", [(64, 64), (640, 640), (320, 192)])
def test_the_letterbox_is_undone(size: tuple[int, int], into: tuple[int, int]) -> None:
    pixels, place = yolo.letterbox(Image.new("RGB", size, "red"), *into)
    assert pixels.shape == (1, 3, into[1], into[0])
    left, top, right, bottom = place.box
    assert (pixels[0, :, top:bottom, left:right] == numpy.array([1, 0, 0]).reshape(3, 1, 1)).all()
    assert (pixels[0] == 114 / 255).all(axis=0).sum() == into[0] * into[1] - (right - left) * (bottom - top)
    whole, border = place.to_picture(numpy.array([place.box, [0, 0, *into]], numpy.float32))
    assert whole.tolist() == pytest.approx([0, 0, *size])
    assert border.tolist() == pytest.approx([0, 0, *size])  # cut at the picture's edges


def detector_of(folder: Path, name: str) -> Detector:
    settings = Settings(checkpoints=folder, loras=folder / "l", outputs=folder / "o", inputs=folder / "i")
    return Registry(settings).detector(name)


def painted(size: tuple[int, int], red: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((red[0], red[1], red[2] - 1, red[3] - 1), fill="red")
    return image


@needs_runtime
@pytest.mark.parametrize("is_dynamic", [False, True])
def test_onnx_detect_finds_the_pixels(tmp_path: Path, is_dynamic: bool) -> None:
    onnx_files.yolo(tmp_path / "detect" / "colours.onnx", is_dynamic=is_dynamic)
    detector = detector_of(tmp_path, "colours")
    # In an input of 64 x 64 the picture is half as large, below a border of 16; the cell is 8 of its pixels.
    image = painted((128, 64), (32, 16, 48, 32))
    (region,) = Detectors().find(image, detector, 0.5)
    assert (region.name, region.box, region.mask) == ("red", (32, 16, 48, 32), None)
    assert Detectors().find(image, detector, 0.99) == []
    tall = painted((64, 128), (16, 96, 32, 112))
    assert [each.box for each in Detectors().find(tall, detector, 0.5)] == [(16, 96, 32, 112)]


@needs_runtime
def test_onnx_segment_finds_the_outline(tmp_path: Path) -> None:
    onnx_files.yolo(tmp_path / "detect" / "colours.onnx", masks=True, box=32)
    detector = detector_of(tmp_path, "colours")
    (region,) = Detectors().find(painted((128, 64), (32, 16, 48, 32)), detector, 0.5)
    assert region.box == (8, 0, 72, 56)
    assert region.mask is not None and region.mask.size == (128, 64)
    assert region.mask.getbbox() == (32, 16, 48, 32)
    assert set(numpy.unique(region.mask)) == {0, 255}


@needs_runtime
def test_a_file_that_says_something_else_than_it_does_is_refused(tmp_path: Path) -> None:
    said = {"names": "{0: 'red'}", "imgsz": "[64, 64]"}
    # The header does not tell the number of rows, or it would have been refused.
    onnx_files.yolo(tmp_path / "detect" / "colours.onnx", rows="rows", metadata=said)
    with pytest.raises(ModelError, match="names other classes"):
        Detectors().find(painted((64, 64), (0, 0, 8, 8)), detector_of(tmp_path, "colours"), 0.5)


@pytest.mark.parametrize("kind", ["yolos", "rt_detr"])
def test_a_folder_of_transformers_answers_as_its_own_code_does(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "detect" / "mine"
    model = _random(kind)
    model.save_pretrained(folder)
    size = {"height": 96, "width": 64}
    said = {"size": size, "do_normalize": kind == "yolos", "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    image = Image.effect_noise((90, 70), 90).convert("RGB")
    detector = detector_of(tmp_path, "mine")
    found = Detectors().find(image, detector, 0.01)
    # By hand, from the model's answer.
    pixels = torch.from_numpy(numpy.asarray(image.resize((64, 96), Image.Resampling.BILINEAR)).copy())
    values = pixels.permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        answer = model(pixel_values=(values - 0.4) / 0.3 if kind == "yolos" else values)
    logits = answer.logits[0]
    shares = logits.softmax(-1)[:, :-1] if kind == "yolos" else logits.sigmoid()
    best = shares.max(dim=1)
    top = int(best.values.argmax())
    x, y, w, h = (answer.pred_boxes[0, top] * torch.tensor([90, 70, 90, 70])).tolist()
    assert found
    assert found[0].confidence == pytest.approx(best.values[top].item(), abs=1e-5)
    assert found[0].name == ("cat", "dog")[int(best.indices[top])]
    expected = (max(x - w / 2, 0), max(y - h / 2, 0), min(x + w / 2, 90), min(y + h / 2, 70))
    assert found[0].box == pytest.approx(expected, abs=0.01)


def _random(kind: str):
    from transformers import RTDetrConfig, RTDetrForObjectDetection, YolosConfig, YolosForObjectDetection
    from transformers.models.rt_detr.configuration_rt_detr_resnet import RTDetrResNetConfig

    torch.manual_seed(0)
    labels = {"id2label": {0: "cat", 1: "dog"}, "label2id": {"cat": 0, "dog": 1}}
    if kind == "yolos":
        return YolosForObjectDetection(
            YolosConfig(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                image_size=[96, 64], patch_size=16, num_detection_tokens=5, **labels,
            )
        ).eval()  # fmt: skip
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    return RTDetrForObjectDetection(
        RTDetrConfig(
            backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 8, 8],
            encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=8, decoder_layers=1,
            decoder_attention_heads=2, decoder_ffn_dim=16, decoder_in_channels=[16, 16, 16],
            feat_strides=[8, 16, 32], anchor_image_size=None, **labels,
        )
    ).eval()  # fmt: skip


def test_a_loaded_detector_is_used_again_until_its_file_changes(registry: Registry) -> None:
    from dataclasses import replace

    detector, detectors = registry.detector("webbduck-starter-detector"), Detectors()
    image = Image.new("RGB", (64, 64))
    detectors.find(image, detector, 0.5)
    gone = replace(detector, path=detector.path.with_name("gone.safetensors"))
    with pytest.raises(ModelError, match="cannot be read"):
        detectors.find(image, gone, 0.5)
    assert detectors.find(image, detector, 0.5) == []


def test_what_is_told_of_a_region_is_json() -> None:
    region = Region("hat", 0.876543, (1.04, 2.0, 3.16, 4.0))
    assert json.loads(json.dumps(region.told())) == {
        "class": "hat", "confidence": 0.8765, "box": [1.0, 2.0, 3.2, 4.0],
    }  # fmt: skip
