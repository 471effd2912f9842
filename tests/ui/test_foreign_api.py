"""Another program's models through the API of a running studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import foreign_trees
import httpx
import pytest
from gradio_client import Client


@pytest.fixture
def webui(studio, tmp_path: Path) -> Iterator[Path]:
    """A1111's folder, which the studio reads."""
    root = foreign_trees.a1111(tmp_path / "sd")
    registry = studio.services.registry
    registry.foreign.add(root)
    registry.refresh()
    yield root
    registry.foreign.remove("A1111")
    registry.refresh()


def test_answers_say_where_models_lie_and_take_their_names(studio, webui: Path) -> None:
    client = Client(studio.url, verbose=False)
    for endpoint, name in {
        "/models": "A1111/xl",
        "/loras": "A1111/style/wash",
        "/vaes": "A1111/fix",
        "/embeddings": "A1111/easy",
        "/upscalers": "A1111/4x",
        "/wildcards": "A1111/colour",
        "/styles": "A1111/A1111 oil",
    }.items():
        origins = {each["name"]: each["origin"] for each in client.predict(api_name=endpoint)}
        assert origins[name] == "A1111"
        assert all(
            origin == ("A1111" if each.startswith("A1111/") else "") for each, origin in origins.items()
        )
    found = client.predict(
        "a __colour__ duck <lora:wash:0.4>",
        loras=[{"name": "A1111/ink"}],
        styles=["A1111 oil"],
        api_name="/resolve",
    )
    assert [each["name"] for each in found["texts"][0]["loras"]] == ["A1111/ink", "A1111/style/wash"]
    assert found["texts"][0]["draws"][0]["file"] == "A1111/colour.txt"
    assert "oil painting of a " in found["texts"][0]["prompt"]
    preview = httpx.get(f"{studio.url}/media/lora/{quote('A1111/ink', safe='')}")
    assert preview.status_code == 200 and preview.headers["content-type"] == "image/webp"
    picture = webui / "models" / "Lora" / "ink.preview.png"
    for path in (f"/gradio_api/file={picture}", f"/media/{picture}"):
        assert httpx.get(studio.url + path).status_code in (403, 404)
