"""The size of an outpainted picture, and percentages, before the request is built."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from webbduck_gradio.errors import RequestError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.jobs.handlers import HANDLERS
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.input_checks import check_inputs
from webbduck_gradio.models.outpaint_size import with_size
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

NAME = "a" * 64 + ".png"


class Folder:
    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, file_id: str) -> Path:
        return self.folder / file_id


@pytest.fixture
def inputs(tmp_path: Path) -> Folder:
    """With a picture of 100 x 80, which is stored lying on its side."""
    lying = Image.new("RGB", (80, 100))
    lying.getexif()[0x0112] = 6
    lying.save(tmp_path / NAME, exif=lying.getexif())
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("sides", "given", "expected"),
    [
        ({"left": 4, "bottom": 16}, {}, (104, 96, {"left": 4, "bottom": 16})),
        ({"left": "25%", "right": 4, "top": "12.5 %"}, {}, (128, 88, {"left": 24, "right": 4, "top": 8})),
        ({"right": "200%"}, {"width": 304, "height": None}, (304, 80, {"right": 200})),
        ({"right": 20}, {"width": 256, "height": 256}, (256, 256, {"right": 20})),
        ({"left": 0, "right": 0}, {}, (None, None, {"left": 0, "right": 0})),
    ],
)
def test_the_size_is_the_pictures_with_its_sides(
    inputs: Folder, sides: dict[str, Any], given: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    found = with_size({"image": NAME, "outpaint": sides, **given}, inputs)
    assert (found.get("width"), found.get("height"), found["outpaint"]) == expected


def test_a_size_that_is_no_multiple_of_8_is_refused(inputs: Folder) -> None:
    with pytest.raises(RequestError) as raised:
        with_size({"image": NAME, "outpaint": {"left": 8}}, inputs)
    assert str(raised.value) == (
        "The picture's width of 100 px with 8 px left and 0 px right makes 108, which is no multiple of 8; "
        "add 4 px to one of them, or give width."
    )


@pytest.mark.parametrize("sides", ["left", 3, {"left": -8}, {"left": "a lot"}, {"left": True}, {"up": "9%"}])
def test_what_is_no_outpainting_is_left_to_the_request(inputs: Folder, sides: Any) -> None:
    found = with_size({"image": NAME, "outpaint": sides}, inputs)
    with pytest.raises(RequestError, match="outpaint"):
        GenerationRequest.validated(base_model="a", **{"width": 512, "height": 512} | found)


def test_a_picture_of_another_size_is_resized_with_a_warning(inputs: Folder) -> None:
    asked = {"base_model": "a", "image": NAME, "outpaint": {"left": 64}, "height": 128}
    (warning,) = check_inputs(inputs, GenerationRequest.validated(width=192, **asked))
    assert warning == (
        "The input picture is 100 x 80 px, but width and height less outpaint leave 128 x 128 for it; it is "
        "resized by resize_mode crop. Without width and height it keeps its size."
    )


def test_a_job_is_queued_with_that_size(settings: Settings, tmp_path: Path) -> None:
    settings.make_folders()
    inputs = InputImageStore(settings)
    Image.new("RGB", (100, 80)).save(tmp_path / "picture.png")
    asked = {
        "image": inputs.store(tmp_path / "picture.png"),
        "outpaint": {"left": 4, "bottom": "20%"},
        "base_model": "webbduck-starter",
    }
    context: Any = SimpleNamespace(registry=Registry(settings), inputs=inputs)
    request, warnings = HANDLERS["generate"].prepare(context, asked)
    assert isinstance(request, GenerationRequest) and list(warnings) == []
    assert (request.width, request.height, request.mode) == (104, 96, "outpaint")
    assert request.model_dump()["outpaint"] == {"left": 4, "right": 0, "top": 0, "bottom": 16}
