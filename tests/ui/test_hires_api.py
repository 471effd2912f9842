"""/hires: a finished picture of the studio gets the hires pass that it might have had at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 11}
HIRES = {"hires_scale": 1.5, "hires_upscaler": "Latent (nearest)", "hires_prompt": "a blue duck"}


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


@pytest.fixture(scope="module")
def finished(client: Client) -> tuple[list[str], dict[str, Any]]:
    return client.predict("a red duck", num_images=2, **SMALL, api_name="/generate")


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.size[0].to_bytes(2, "big") + image.tobytes()


def test_later_it_is_the_same_as_at_once(client: Client, finished) -> None:
    _, info = finished
    at_once, _ = client.predict("a red duck", num_images=2, **SMALL, **HIRES, api_name="/generate")
    (later,), answer = client.predict(info["images"][1], **HIRES, api_name="/hires")
    assert pixels(later) == pixels(at_once[1])
    assert answer["run"] != info["run"] and answer["seeds"] == [12]
    assert {name: answer["request"][name] for name in HIRES} == HIRES
    assert answer["request"]["num_images"] == 1 and answer["status"] == "completed"


def test_of_an_uploaded_file_and_without_settings_as_the_checkpoint_recommends(
    client: Client, studio, finished
) -> None:
    files, _ = finished
    (drawn,), answer = client.predict(handle_file(files[0]), api_name="/hires")
    with Image.open(drawn) as image:
        larger = image.size
    usual = studio.services.registry.default_checkpoint().defaults
    assert larger == (int(64 * usual.hires_scale),) * 2
    asked = answer["request"]
    assert (asked["hires_scale"], asked["hires_strength"]) == (usual.hires_scale, usual.hires_strength)
    said = f"The hires scale is {usual.hires_scale:g}, as webbduck-starter recommends."
    assert (said in answer["warnings"]) == (usual.hires_scale != 2)
    assert answer["request"]["hires_upscaler"] == "Lanczos"  # there is no model here


def test_a_picture_with_a_hires_pass_gets_another_one(client: Client, finished) -> None:
    _, info = finished
    _, first = client.predict(info["images"][0], **HIRES, api_name="/hires")
    (drawn,), second = client.predict(first["images"][0], hires_width=80, api_name="/hires")
    with Image.open(drawn) as image:
        assert image.size == (80, 80)
    assert second["request"]["hires_scale"] is None
    assert second["request"]["hires_prompt"] == ""


def test_a_picture_that_does_not_tell_its_request_is_refused(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "foreign.png")
    with pytest.raises(AppError, match="does not record how this studio made it"):
        client.predict(handle_file(tmp_path / "foreign.png"), api_name="/hires")
