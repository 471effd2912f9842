"""Embeddings through the API of a running studio, from the file to the settings of the picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from embedding_files import of_words
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from running import STARTER, wait_until


@pytest.fixture(scope="module")
def client(studio) -> Client:
    return Client(studio.url, verbose=False, httpx_kwargs={"timeout": 120})


@pytest.fixture(scope="module")
def listed(client: Client, studio) -> Iterator[dict[str, Any]]:
    """The answer of /embeddings by name, once the hashes are known; the folder is emptied afterwards."""
    root: Path = studio.settings.checkpoints / "embedding"
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    of_words(starter, root / "party-hat.safetensors", "a red party hat")
    Image.new("RGB", (40, 30), "teal").save(root / "party-hat.png")
    (root / "old.pt").write_bytes(b"\x80\x02cos\n")

    def answer() -> dict[str, Any]:
        return {each["name"]: each for each in client.predict(STARTER, api_name="/embeddings")}

    wait_until(lambda: answer().get("party-hat", {}).get("hash") and "old.pt" in answer())
    yield answer()
    for path in filter(Path.is_file, root.rglob("*")):
        path.unlink()
    wait_until(lambda: not studio.services.registry.embeddings())


def test_they_are_listed(client: Client, studio, listed: dict[str, Any]) -> None:
    hat = listed["party-hat"]
    assert (hat["trigger"], hat["vectors"], hat["arch"], hat["compatible"]) == ("party-hat", 4, "sdxl", True)
    assert hat["reason"] is None and len(hat["hash"]) == 12
    assert "pickle" in listed["old.pt"]["reason"] and listed["old.pt"]["compatible"] is False
    assert {each["compatible"] for each in client.predict(api_name="/embeddings")} == {None}
    assert client.predict("a party-hat", api_name="/tokenize")["tokens"] == 5
    small = httpx.get(f"{studio.url}/media/embedding/party-hat")
    assert small.status_code == 200 and small.headers["content-type"] == "image/webp"
    assert httpx.get(f"{studio.url}/media/embedding/none").status_code == 404


def test_a_picture_tells_which_it_was_made_with(client: Client, listed: dict[str, Any]) -> None:
    quick = {"steps": 2, "width": 64, "height": 64, "seed": 5, "base_model": STARTER}
    _, info = client.predict("a duck, (Party-Hat:1.1)", **quick, api_name="/generate")
    (image,) = info["images"]
    file, _ = client.predict(image, api_name="/image")
    hash = listed["party-hat"]["hash"]
    with Image.open(file) as picture:
        facts = json.loads(picture.info["webbduck"])["facts"]
        assert f'TI hashes: "party-hat: {hash}"' in picture.info["parameters"]
    assert facts["embedding_hashes"] == {"party-hat": hash}
    with pytest.raises(AppError, match="no embedding named 'party-hut'; did you mean party-hat"):
        client.predict("embedding:party-hut", **quick, api_name="/generate")


def test_a_queued_job_fails_if_the_file_of_a_plain_word_is_gone(
    client: Client, studio, listed: dict[str, Any]
) -> None:
    quick = {"steps": 1, "width": 64, "height": 64, "seed": 5, "base_model": STARTER}
    studio.services.store.pause()
    try:
        _, info = client.predict("a duck, party-hat", **quick, wait_for_result=False, api_name="/generate")
        assert info["request"]["embeddings"] == ["party-hat"]
        (studio.settings.checkpoints / "embedding" / "party-hat.safetensors").unlink()
        wait_until(lambda: "party-hat" not in {each.name for each in studio.services.registry.embeddings()})
    finally:
        studio.services.store.resume()
    wait_until(lambda: studio.services.store.get(info["job_id"]).state == "failed")
    assert studio.services.store.get(info["job_id"]).error == "There is no embedding named 'party-hat'."
