"""/complete, and the list of tags that the page fetches."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from lora_files import make_lora
from running import STARTER, wait_until

from webbduck_gradio.request import MAX_PROMPT


@pytest.fixture(scope="module")
def client(studio) -> Client:
    return Client(studio.url, verbose=False, httpx_kwargs={"timeout": 120})


@pytest.fixture(scope="module")
def tagged(studio) -> Iterator[str]:
    """The studio with a list of tags and a LoRA; the version of the list."""
    settings, registry = studio.settings, studio.services.registry
    settings.tags.mkdir(exist_ok=True)
    file, lora = settings.tags / "some.csv", settings.loras / "ink.safetensors"
    file.write_text('long_hair,0,43,"longhair"\nlong_(tail),4,9,')
    make_lora(lora, settings.checkpoints / "sdxl" / STARTER, {"modelspec.trigger_phrase": "in ink"})
    wait_until(lambda: registry.tags.tags().count == 2 and registry.has_lora("ink"))
    yield registry.tags.tags().version
    file.unlink()
    lora.unlink()
    wait_until(lambda: not registry.tags.tags().count and not registry.loras())


def test_a_text_is_completed(client: Client, tagged: str) -> None:
    assert client.predict("a duck, longh", api_name="/complete") == {
        "from": 8,
        "to": 13,
        "options": [
            {
                "kind": "tag",
                "label": "longhair",
                "insert": "long hair, ",
                "detail": "general",
                "count": 43,
                "alias_of": "long hair",
            }
        ],
    }
    found = client.predict("lon, b", 3, api_name="/complete")
    assert [each["insert"] for each in found["options"]] == ["long hair", r"long \(tail\)"]
    assert client.predict("<lora:in", api_name="/complete")["options"][0]["insert"] == "<lora:ink:1>"
    assert client.predict("", api_name="/complete") == {"from": 0, "to": 0, "options": []}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ((7,), "text must be a text"),
        (("a" * (MAX_PROMPT + 1),), "text must be a text"),
        (("abc", 4), "position must be a whole number from 0 to 3"),
        (("abc", -1), "position must be"),
        (("abc", True), "position must be"),
        (("abc", "1"), "position must be"),
    ],
)
def test_what_cannot_be_completed_is_refused(client: Client, asked: tuple, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(*asked, api_name="/complete")


def test_the_page_fetches_the_tags_by_their_version(studio, tagged: str) -> None:
    with httpx.Client(base_url=studio.url) as http:
        got = http.get(f"tags/{tagged}", headers={"accept-encoding": "gzip"})
        assert got.status_code == 200 and got.headers["content-encoding"] == "gzip"
        assert "immutable" in got.headers["cache-control"] and got.headers["vary"] == "accept-encoding"
        assert got.text == studio.services.registry.tags.tags().text
        plain = http.get(f"tags/{tagged}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text == got.text
        assert http.get(f"tags/{'0' * 16}").status_code == 404


def test_tags_are_behind_the_password(locked) -> None:
    assert httpx.get(f"{locked.url}/tags/{'0' * 16}").status_code == 401
