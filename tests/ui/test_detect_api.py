"""/detect, /detectors and details through gradio_client: regions, their preview, and what is recorded."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import onnx_files
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageChops
from running import starter_detector, wait_until

from webbduck_gradio.gallery import metadata
from webbduck_gradio.models.detectors import has_onnxruntime
from webbduck_gradio.starter.drawing.scenes import Attributes, draw

needs_runtime = pytest.mark.skipif(not has_onnxruntime(), reason="onnxruntime is not installed")
DETECTOR = "webbduck-starter-detector"


@pytest.fixture(scope="module")
def client(studio, starter_checkpoints: Path) -> Iterator[Client]:
    with starter_detector(studio, starter_checkpoints):
        with_client = Client(studio.url, verbose=False)
        yield with_client
        with_client.close()


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ducks") / "duck.png"
    attributes = Attributes("duck", "red", "pond", "day", "right", "top hat", "blue")
    Image.fromarray(draw(attributes, 5, 160, 128)).save(path)
    return path


def test_the_detectors_are_listed(client: Client) -> None:
    assert client.predict(api_name="/detectors") == [
        {
            "name": DETECTOR,
            "origin": "",
            "kind": "starter",
            "classes": ["duck head", "hat"],
            "masks": False,
            "reason": None,
        }
    ]


def test_regions_of_a_file(client: Client, duck: Path) -> None:
    found = client.predict(handle_file(duck), api_name="/detect")
    assert (found["detector"], found["status"], found["confidence"]) == (DETECTOR, "completed", 0.3)
    assert (found["width"], found["height"]) == (160, 128)
    head = next(each for each in found["regions"] if each["class"] == "duck head")
    left, top, right, bottom = head["box"]
    assert 0 <= left < right <= 160 and 0 <= top < bottom <= 128
    assert head["confidence"] >= 0.3
    kind, _, data = found["preview"].partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as preview, Image.open(duck) as plain:
        assert preview.size == (160, 128)
        edge = preview.getpixel((round((left + right) / 2), round(bottom) - 1))
        assert edge != plain.convert("RGB").getpixel((round((left + right) / 2), round(bottom) - 1))
    job = client.predict(found["job_id"], api_name="/job")
    assert job["kind"] == "detect" and job["result"]["regions"] == found["regions"]
    assert client.predict(handle_file(duck), confidence=0.999, api_name="/detect")["regions"] == []


def test_without_waiting_the_job_has_the_result(client: Client, duck: Path) -> None:
    info = client.predict(handle_file(duck), wait_for_result=False, api_name="/detect")
    assert info["regions"] is None is info["preview"]
    wait_until(lambda: client.predict(info["job_id"], api_name="/job")["status"] == "completed")
    assert client.predict(info["job_id"], api_name="/job")["result"]["regions"]


@needs_runtime
def test_an_outline_is_a_picture_that_can_be_a_mask(client: Client, studio, tmp_path: Path) -> None:
    folder = studio.services.settings.checkpoints / "detect"
    file = onnx_files.yolo(folder / "outlines.onnx", masks=True, box=32)
    picture = tmp_path / "red.png"
    image = Image.new("RGB", (128, 64), "black")
    image.paste("red", (32, 16, 48, 32))
    image.save(picture)
    try:
        asked = {"detector": "outlines", "confidence": 0.5, "api_name": "/detect"}
        (region,) = client.predict(handle_file(picture), **asked)["regions"]
    finally:
        file.unlink()
    with Image.open(studio.services.inputs.path(region["mask"])) as mask:
        assert (mask.size, mask.mode, mask.getbbox()) == ((128, 64), "L", (32, 16, 48, 32))
    (drawn,), _ = client.predict(
        "a duck", image=handle_file(picture), mask=region["mask"], steps=2, strength=0.5, width=128,
        height=64, mask_blur=0, seed=1, api_name="/generate",
    )  # fmt: skip
    with Image.open(drawn) as after:
        assert ImageChops.difference(after.convert("RGB"), image).getbbox() == (32, 16, 48, 32)


def test_what_cannot_be_asked(client: Client, duck: Path) -> None:
    file = handle_file(duck)
    for asked, text in (
        ({"detector": "webbduck-starter-detectr"}, "did you mean webbduck-starter-detector"),
        ({"confidence": 3}, "confidence must be a number from 0.01 to 1"),
        ({"wait_for_result": "yes"}, "wait_for_result must be true or false"),
    ):
        with pytest.raises(AppError, match=text):
            client.predict(file, **asked, api_name="/detect")
    with pytest.raises(AppError, match="image is missing"):
        client.predict(None, api_name="/detect")
    with pytest.raises(AppError, match=r"details\.strength must be a number above 0"):
        client.predict("a duck", details=[{"detector": DETECTOR, "strength": 7}], api_name="/generate")


def test_details_are_drawn_recorded_and_made_again(client: Client, duck: Path) -> None:
    details = [
        {"detector": f"{DETECTOR}.pt", "prompt": "a yellow duck", "classes": ["duck head"], "steps": 4}
    ]
    (file,), info = client.predict(
        "a red duck with a blue top hat on a pond", image=handle_file(duck), strength=0.05, steps=20, seed=7,
        width=128, height=128, details=details, api_name="/generate",
    )  # fmt: skip
    assert info["request"]["details"][0]["detector"] == DETECTOR
    told = metadata.read(Path(file))
    (found,) = told["webbduck"]["facts"]["details"]  # type: ignore[index]
    assert [each["class"] for each in found["regions"]] == ["duck head"]
    for pair in (f"ADetailer model: {DETECTOR}", "ADetailer prompt: a yellow duck", "ADetailer steps: 4"):
        assert pair in (told["parameters"] or "")
    request = {key: value for key, value in told["request"].items() if key not in ("image", "mask")}  # type: ignore[union-attr]
    (again,), _ = client.predict(**request, image=handle_file(duck), api_name="/generate")
    with Image.open(file) as one, Image.open(again) as other:
        assert one.tobytes() == other.tobytes()
