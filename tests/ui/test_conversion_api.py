"""/convert, /conversions and /cancel_conversion through gradio_client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gradio_client import Client
from gradio_client.exceptions import AppError
from running import wait_until


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    path: Path = studio.settings.loras / "old.pt"
    torch.save({"unet.a.lora_down.weight": torch.ones(2, 2)}, path)
    wait_until(lambda: studio.services.registry.has_lora("old.pt"))
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()
    path.unlink()
    studio.services.conversions.clear()
    wait_until(lambda: not studio.services.registry.has_lora("old.pt"))


def test_a_pickle_that_is_no_lora_is_not_kept(client: Client, studio) -> None:
    before = client.predict(api_name="/conversions")
    assert {"kind": "lora", "name": "old.pt", "converted": None} in before["pickles"]
    asked = client.predict("lora", "old.pt", api_name="/convert")
    assert (asked["name"], asked["kind"], asked["result"]) == ("old.pt", "lora", "")

    def ended() -> dict[str, object]:
        (found,) = client.predict(api_name="/conversions")["conversions"]
        return found if found["state"] not in ("waiting", "running") else {}

    wait_until(ended)
    found = ended()
    assert found["state"] == "failed" and "The converted file was not kept." in str(found["text"]), found
    assert client.predict(found["id"], api_name="/cancel_conversion")["state"] == "failed"
    assert not (studio.settings.loras / "old.safetensors").exists()


@pytest.mark.parametrize(
    ("endpoint", "asked", "words"),
    [
        ("/convert", ("lora", "../old.pt"), "There is no pickle of the kind lora named '../old.pt'"),
        ("/convert", ("detect", "old.pt"), "kind must be one of: checkpoint, lora, vae, embedding, upscale"),
        ("/cancel_conversion", (999,), "There is no conversion '999'"),
    ],
)
def test_what_is_not_there_is_one_sentence(client: Client, endpoint: str, asked: tuple, words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(*asked, api_name=endpoint)
