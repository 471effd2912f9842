"""/redraw through gradio_client: what it draws, records, refuses, and makes again from its own metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata import infotext_redraw, recall

QUICK = {"tile_size": 64, "overlap": 16, "upscaler": "Lanczos", "strength": 0.5, "api_name": "/redraw"}
OF_A1111 = (
    "a duck\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 1024x1024, Denoising strength: 0.3, "
    "Ultimate SD upscale upscaler: 4x-UltraSharp, Ultimate SD upscale tile_width: 512, Ultimate SD upscale "
    "tile_height: 512, Ultimate SD upscale mask_blur: 8, Ultimate SD upscale padding: 32, Version: v1.9.0"
)


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


@pytest.fixture(scope="module")
def painted(client: Client) -> str:
    """Id of a finished picture."""
    asked = {"seed": 7, "steps": 4, "width": 64, "height": 64, "cfg": 3.0, "sampler": "Euler a"}
    _, info = client.predict("a red duck", **asked, api_name="/generate")
    return info["images"][0]


@pytest.fixture(scope="module")
def redrawn(client: Client, painted: str) -> tuple[Path, dict]:
    (file,), info = client.predict(painted, scale=1.5, **QUICK)
    return Path(file), info


def test_a_redrawn_copy_lies_beside_its_original_and_records_everything(studio, painted, redrawn) -> None:
    file, info = redrawn
    assert info["images"] == [painted.replace("0.png", "0_upscaled.png")]
    assert (info["status"], info["upscaler"], info["scale"]) == ("completed", "Lanczos", 1.5)
    told = metadata.read(file)
    assert (told["width"], told["height"]) == (96, 96)
    before = metadata.read(studio.services.outputs.resolve(painted))
    assert told["request"] == before["request"]  # by which the original is made
    record = told["upscaled"]
    assert record["redraw"] == info["request"] | {"drawing": record["redraw"]["drawing"]}
    drawing = record["redraw"]["drawing"]
    assert (drawing["prompt"], drawing["seed"], drawing["sampler"]) == ("a red duck", 7, "Euler a")
    assert (drawing["cfg"], drawing["steps"], drawing["width"], drawing["image"]) == (3.0, 4, 64, None)
    assert record["facts"]["tiles"] == 4 and record["facts"]["dtype"] == "float32"
    fields = told["fields"]
    assert (fields["Size-1"], fields["Denoising strength"], fields["Seed"]) == ("96", "0.5", "7")
    assert fields["Ultimate SD upscale upscaler"] == "Lanczos"
    assert fields["Ultimate SD upscale tile_width"] == "48" and fields["Ultimate SD upscale padding"] == "8"
    read = {"upscaler": "Lanczos", "tile_size": 64, "overlap": 16, "strength": 0.5}
    assert infotext_redraw.read(fields) == read


def test_it_is_made_again_from_its_own_metadata(client, studio, painted, redrawn) -> None:
    file, info = redrawn
    with Image.open(file) as image:
        first = image.convert("RGB").tobytes()
    record = metadata.read(file)["upscaled"]["redraw"]
    (again,), told = client.predict(painted, settings=record, api_name="/redraw")
    assert told["request"] == info["request"]
    with Image.open(again) as image:
        assert image.convert("RGB").tobytes() == first
    (other,), _ = client.predict(painted, scale=1.5, **QUICK | {"strength": 0.8})
    with Image.open(other) as image:
        assert image.convert("RGB").tobytes() != first


def test_a_file_without_a_prompt_is_drawn_without_one_and_says_so(client, studio, tmp_path) -> None:
    Image.effect_mandelbrot((40, 64), (-2, -1.2, 1, 1.2), 30).convert("RGB").save(tmp_path / "mine.png")
    file = handle_file(tmp_path / "mine.png")
    (grown,), info = client.predict(file, scale=2, steps=2, seed=3, **QUICK)
    assert any("records no prompt" in text for text in info["warnings"])
    assert metadata.read(Path(grown))["upscaled"]["redraw"]["drawing"]["seed"] == 3
    run, _, name = info["images"][0].partition("/")
    assert name == "0.png"
    assert json.loads((studio.services.outputs.root / run / "meta.json").read_text())["kind"] == "redraw"


def test_a_seamless_picture_stays_so_upscaled_and_redrawn(client, studio, tmp_path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a duck\nSteps: 2, Sampler: Euler, Seed: 5, Size: 64x48, Tiling: True")
    path = tmp_path / "seamless.png"
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(path, pnginfo=info)
    (file,), told = client.predict(handle_file(path), scale=2, upscaler="Lanczos", api_name="/upscale")
    assert told["request"]["tiling"] == "both"
    assert metadata.read(Path(file))["upscaled"]["facts"] == {"tiling": "both"}
    first, last = (Image.open(file).getpixel((9, row))[0] for row in (0, 95))
    assert first > 20 and last < 235, "each border is blended with the opposite one"

    def redraw(**asked: Any) -> tuple[dict[str, Any], Path]:
        _, told = client.predict(handle_file(path), steps=2, **QUICK | asked)
        return told, studio.services.outputs.resolve(told["images"][0])

    told, redrawn = redraw(scale=2)
    assert told["request"]["tiling"] == "both" and not any("seamless" in each for each in told["warnings"])
    assert recall.tiling_of(redrawn) == "both" and "Tiling: True" in metadata.read(redrawn)["parameters"]
    told, _ = redraw(scale=2, tile_size=128)
    assert any("A seam can show at the borders of 128 x 96 pixels" in each for each in told["warnings"])
    told, redrawn = redraw(scale=1.25)  # 80 x 60
    assert told["request"]["tiling"] == "x"
    assert any("at 80 x 60 pixels the result is not in each direction" in each for each in told["warnings"])
    assert recall.tiling_of(redrawn) == "x" and "Tiling axis: x" in metadata.read(redrawn)["parameters"]
    told, redrawn = redraw(scale=1.1)  # 70 x 53
    assert told["request"]["tiling"] == "none" and recall.tiling_of(redrawn) == "none"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"scale": 8, "image": "large"}, "more than 8192 on the longer side"),
        ({"steps": 2, "strength": 0.1}, "leave no step to draw"),
        ({"overlap": 40}, "more than half of tile_size"),
        ({"upscaler": "gone"}, "gone"),
        ({"base_model": "gone"}, "gone"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(client, painted, tmp_path, asked, sentence) -> None:
    image = painted
    if asked.pop("image", None):
        Image.new("RGB", (1025, 8)).save(tmp_path / "large.png")
        image = handle_file(tmp_path / "large.png")
    with pytest.raises(AppError, match=sentence):
        client.predict(image, **QUICK | asked)


def test_the_script_of_a1111_is_read(studio) -> None:
    _, notes = recall.read_text(OF_A1111, studio.services.registry, studio.services.inputs)
    assert any("Upscale with detail" in note for note in notes)
    assert not any("Ultimate SD" in note for note in notes)
    fields = metadata.parse_texts({"parameters": OF_A1111}, "the text")["fields"]
    read = {"upscaler": "4x-UltraSharp", "tile_size": 576, "overlap": 64, "strength": 0.3}
    assert infotext_redraw.read(fields) == read
    assert infotext_redraw.read({"Steps": "20"}) == {}
