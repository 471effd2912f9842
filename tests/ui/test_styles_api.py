"""Styles through gradio_client: what they draw, record and refuse, and that a picture stays what it is after
its style was edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata.recall import read_settings, read_text

ROWS = "name,prompt,negative_prompt\nNight,{prompt} at night,pond\nRed,red,\n"
SMALL = {"width": 128, "height": 128, "steps": 2, "seed": 11, "cfg": 4.0}
NIGHT = {"name": "Night", "prompt": "{prompt} at night", "negative_prompt": "pond"}
RED = {"name": "Red", "prompt": "red", "negative_prompt": ""}


@pytest.fixture(scope="module", autouse=True)
def file(studio) -> Iterator[Path]:
    studio.settings.styles.write_text(ROWS)
    yield studio.settings.styles
    studio.settings.styles.unlink()


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


@pytest.fixture(scope="module")
def drawn(client: Client) -> tuple[bytes, dict[str, Any], Path]:
    (path,), info = client.predict(
        "a duck", negative_prompt="fog", styles=["red", "Night"], **SMALL, api_name="/generate"
    )
    return pixels(path), info, Path(path)


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def test_they_draw_what_the_finished_prompt_draws(client: Client, drawn) -> None:
    first, info, _ = drawn
    assert info["request"]["styles"] == [RED, NIGHT] and info["warnings"] == []
    (path,), _ = client.predict(
        "a duck, red at night", negative_prompt="fog, pond", **SMALL, api_name="/generate"
    )
    assert pixels(path) == first
    assert client.predict(api_name="/styles")[1]["prompt"] == "red"
    plain = client.predict("a duck, red at night", api_name="/tokenize")
    assert client.predict("a duck", styles=["Red", "Night"], api_name="/tokenize") == plain


def test_a_picture_is_made_again_after_its_style_was_edited(
    client: Client, studio, drawn, file: Path
) -> None:
    first, info, path = drawn
    file.write_text(ROWS.replace("at night", "in the morning"))
    asked = {"negative_prompt": "fog", "styles": info["request"]["styles"], **SMALL}
    (again,), told = client.predict("a duck", **asked, api_name="/generate")
    values, notes = read_settings(path, studio.services.registry, studio.services.inputs)
    file.write_text(ROWS)
    assert told["request"]["styles"] == [RED, NIGHT] and pixels(again) == first
    assert told["warnings"] == ["The style 'Night' was changed since; its recorded text is used."]
    assert (values["prompt"], values["styles"]) == ("a duck", [RED, NIGHT])
    assert "The style 'Night' was changed since; its recorded text is used." in notes


def test_a1111s_text_holds_the_finished_prompt_and_finds_them_again(studio, drawn) -> None:
    _, _, path = drawn
    found = metadata.read(path)
    assert found["parameters"].startswith("a duck, red at night\nNegative prompt: fog, pond\nSteps: 2")
    values, notes = read_text(found["parameters"], studio.services.registry, studio.services.inputs)
    assert (values["prompt"], values["negative_prompt"]) == ("a duck", "fog")
    assert values["styles"] == [RED, NIGHT]
    assert any("what the styles Red, Night add" in each for each in notes)
    other, _ = read_text(
        found["parameters"].replace("fog, pond", "fog"), studio.services.registry, studio.services.inputs
    )
    assert other["prompt"] == "a duck, red at night" and other["styles"] == []


def test_a_picture_can_stand_for_a_style(client: Client, studio, drawn) -> None:
    _, info, _ = drawn
    studio.services.style_previews.choose("Night", info["images"][0])
    night, red = client.predict(api_name="/styles")
    answer = httpx.get(f"{studio.url}/{night['preview']}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert red["preview"] is None and httpx.get(f"{studio.url}/media/style/Red").status_code == 404


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["Nigth"], "no style named 'Nigth'; did you mean Night"),
        (["Night", "night"], "names the style Night twice"),
        ([RED | {"text": "y"}], "no setting named"),
        ("Night", "must be a list"),
    ],
)
def test_what_cannot_be_is_refused(client: Client, asked: Any, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict("a duck", styles=asked, wait_for_result=False, **SMALL, api_name="/generate")


def test_the_tiles_of_a_redrawing_have_the_pictures_styles(client: Client, drawn) -> None:
    _, info, _ = drawn
    asked = {"scale": 1, "tile_size": 64, "overlap": 16, "upscaler": "Lanczos", "strength": 0.5}
    _, told = client.predict(info["images"][0], **asked, api_name="/redraw")
    assert told["request"]["drawing"]["styles"] == [RED, NIGHT]
    _, told = client.predict(info["images"][0], **asked, styles=[], api_name="/redraw")
    assert told["request"]["drawing"]["styles"] == []
