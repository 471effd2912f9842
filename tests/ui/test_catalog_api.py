"""The catalog through the API of a running studio, and the pictures that stand for LoRAs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from lora_files import lora_bytes, make_lora
from PIL import Image
from running import STARTER, wait_until

from webbduck_gradio.models.admission import build_request
from webbduck_gradio.ui.studio.form import Form

SCRIPT = 'it\'s <script>alert(1)<script> "x" 🦆'


@pytest.fixture(scope="module")
def client(studio) -> Client:
    return Client(studio.url, verbose=False, httpx_kwargs={"timeout": 120})


@pytest.fixture
def folder(studio) -> Iterator[Path]:
    """The running studio's LoRA folder, emptied afterwards."""
    yield studio.settings.loras
    for path in studio.settings.loras.rglob("*"):
        if path.is_file() and path.name != "loras.json":
            path.unlink()
    wait_until(lambda: not studio.services.registry.loras())


def loras(client: Client, base: str | None = None) -> dict[str, Any]:
    return {each["name"]: each for each in client.predict(base, api_name="/loras")}


def picture(colour: str, format: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(data, format)
    return data.getvalue()


def test_added_replaced_edited_and_removed(client: Client, studio, folder: Path) -> None:
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    whole = lora_bytes(starter, {"modelspec.trigger_phrase": "one"})
    with (folder / f"{SCRIPT}.safetensors").open("wb") as slow:
        for start in range(0, len(whole), len(whole) // 4 + 1):
            slow.write(whole[start : start + len(whole) // 4 + 1])
            slow.flush()
            # Where a call takes seconds, the file has not grown for long and is listed with the reason.
            assert loras(client).get(SCRIPT, {"reason": "not there"})["reason"]
    wait_until(lambda: loras(client).get(SCRIPT, {"reason": "not there"})["reason"] is None)
    found = loras(client, STARTER)[SCRIPT]
    assert found["compatible"] is True and found["trigger"] == "one" and found["reason"] is None
    make_lora(folder / f"{SCRIPT}.safetensors", starter, {"modelspec.trigger_phrase": "two"})
    wait_until(lambda: loras(client)[SCRIPT]["trigger"] == "two")
    table = json.loads((folder / "loras.json").read_text())
    table[SCRIPT]["weight"] = 0.35
    (folder / "loras.json").write_text(json.dumps(table))
    wait_until(lambda: loras(client)[SCRIPT]["weight"] == 0.35)
    (folder / f"{SCRIPT}.safetensors").rename(folder / "plain.safetensors")
    wait_until(lambda: list(loras(client)) == ["plain"])
    assert loras(client)["plain"]["weight"] == 0.35
    wait_until(lambda: loras(client)["plain"]["hash"])
    (folder / "plain.safetensors").unlink()
    wait_until(lambda: not loras(client))
    assert client.predict(api_name="/vaes") == [] and isinstance(client.predict(api_name="/wildcards"), list)


def colour(studio, name: str) -> tuple[int, ...] | int:
    """Colour of the LoRA's preview as the page gets it, or the status of the answer."""
    answer = httpx.get(f"{studio.url}/media/lora/{quote(name)}", timeout=120)
    if answer.status_code != 200:
        return answer.status_code
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    found = Image.open(io.BytesIO(answer.content)).convert("RGB").getpixel((20, 15))
    return tuple(255 if channel > 128 else 0 for channel in found)


def test_previews_by_name_alone(studio, folder: Path) -> None:
    starter = studio.settings.checkpoints / "sdxl" / STARTER
    inside = "data:image/png;base64," + base64.b64encode(picture("#0000ff")).decode()
    make_lora(folder / "styles" / f"{SCRIPT}.safetensors", starter, {"modelspec.thumbnail": inside})
    make_lora(folder / "bare.safetensors", starter)
    make_lora(folder / "bad.safetensors", starter, {"modelspec.thumbnail": "data:image/png;base64,eA=="})
    registry, name = studio.services.registry, f"styles/{SCRIPT}"
    wait_until(lambda: len(registry.loras()) == 3)
    assert colour(studio, name) == (0, 0, 255)
    (folder / "styles" / f"{SCRIPT}.preview.png").write_bytes(picture("#00ff00"))
    wait_until(lambda: registry.lora(name).preview)
    assert colour(studio, name) == (0, 255, 0)
    registry.edit_lora(name, {"preview": "nothing/0.png"})
    assert colour(studio, name) == (0, 255, 0), "a chosen picture that is gone gives way"
    for none in ("bare", "bad", "../loras.json", "/etc/passwd", "bare.safetensors", "", "styles"):
        assert colour(studio, none) == 404
    (folder / "bare.jpg").write_bytes(b"<svg onload=alert(1)>")
    wait_until(lambda: registry.lora("bare").preview)
    assert colour(studio, "bare") == 404


def test_pictures_made_with_a_lora_stand_for_it(studio, folder: Path) -> None:
    services, starter = studio.services, studio.settings.checkpoints / "sdxl" / STARTER
    for name in ("ink", "ink wash"):
        make_lora(folder / f"{name}.safetensors", starter)
    wait_until(lambda: len(services.registry.loras()) == 2)
    made = []
    for name, colour_of in (("ink", "#ff0000"), ("ink wash", "#0000ff")):
        request = build_request(services.registry, {"prompt": "a duck", "seed": 1, "loras": [{"name": name}]})
        run = services.outputs.new_run(request, "generate", f"job of {name}")
        made.append(run.save(0, Image.new("RGB", (64, 64), colour_of), 1))
        run.close("completed")
    previews = services.lora_previews
    wait_until(lambda: previews.made_with("ink wash"))
    assert (previews.made_with("ink"), previews.made_with("ink wash")) == ([made[0]], [made[1]])
    tagged = build_request(services.registry, {"prompt": "a duck <lora:ink wash:0.5>", "seed": 1})
    run = services.outputs.new_run(tagged, "generate", "a tag")
    made.append(run.save(0, Image.new("RGB", (64, 64), "#0000ff"), 1))
    run.close("completed")
    wait_until(lambda: previews.made_with("ink wash") == [made[2], made[1]])
    assert previews.made_with("ink") == [made[0]]
    assert colour(studio, "ink") == (255, 0, 0) and colour(studio, "ink wash") == (0, 0, 255)
    services.registry.edit_lora("ink", {"preview": previews.last("ink wash")})
    assert colour(studio, "ink") == (0, 0, 255)
    services.trash.delete_image(made[2])
    assert colour(studio, "ink") == (255, 0, 0)


def test_a_change_of_the_catalog_does_not_send_back_what_was_chosen(studio) -> None:
    """The answer would undo what a person chose while it was on its way."""
    form = Form(studio.services, {}, gr.HTML())
    checkpoint, second = form.choices(STARTER, "")
    assert STARTER in [each["value"] for each in checkpoint["choices"]]
    assert "value" not in checkpoint and "value" not in second
    checkpoint, second = form.choices("gone", "gone too")
    assert (checkpoint["value"], second["value"]) == (STARTER, "")


def of_the_page(studio, name: str, value: Any) -> dict[str, Any]:
    """The answer of one of the page's own functions."""
    parts = httpx.get(f"{studio.url}/config").json()["components"]
    part = next(each["id"] for each in parts if name in (each["props"].get("server_fns") or ()))
    asked = {"data": value, "component_id": part, "fn_name": name, "session_hash": "test"}
    return httpx.post(f"{studio.url}/gradio_api/component_server", json=asked, timeout=120).json()


def test_an_edit_by_who_has_not_seen_the_last_one(studio, folder: Path) -> None:
    """Whoever does not say what they saw sets values, but not those that an edit replaced meanwhile."""
    make_lora(folder / "ink.safetensors", studio.settings.checkpoints / "sdxl" / STARTER)
    wait_until(lambda: [each.name for each in studio.services.registry.loras()] == ["ink"])

    def save(**more: Any) -> dict[str, Any]:
        return of_the_page(studio, "webbduck_edit_lora", {"name": "ink", **more})

    for old in (None, "first words"):
        assert "error" not in save(changes={"trigger": f"after {old}", "weight": None, "description": None})
        refused = save(changes={"trigger": old, "weight": 0.6, "description": None})
        assert "trigger of ink was changed meanwhile" in refused["error"]
        assert (refused["note"]["trigger"], refused["note"]["weight"]) == (f"after {old}", None)
        seen = {"trigger": f"after {old}"}
        assert "error" not in save(changes={"trigger": "first words"}, seen=seen)
    assert "error" not in save(changes={"trigger": None}, seen={"trigger": "first words"})
    assert of_the_page(studio, "webbduck_lora", "ink")["note"]["trigger"] is None
    for odd in ({"changes": {}, "seen": []}, {"changes": 1}, {"seen": {}}):
        assert "invalid request" in save(**odd)["error"]


def test_the_page_is_told_a_bounded_part_of_a_large_header(studio, folder: Path) -> None:
    tags = {"1_a": {f"tag {number}": number + 1 for number in range(300_000)}}
    make_lora(
        folder / "large.safetensors",
        studio.settings.checkpoints / "sdxl" / STARTER,
        {"ss_tag_frequency": json.dumps(tags)},
    )
    registry = studio.services.registry
    wait_until(lambda: [each.unusable for each in registry.loras()] == [None])
    told = of_the_page(studio, "webbduck_lora", "large")
    assert len(told["said"]["tags"]) == 200 and told["said"]["more_tags"] == 299_800
    assert len(json.dumps(told)) < 300_000
