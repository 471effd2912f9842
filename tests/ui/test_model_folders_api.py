"""Folders of other programs through the API and the page's dialog: looked at, added, used and removed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import foreign_trees
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from webbduck_gradio.api import model_folders
from webbduck_gradio.errors import RequestError
from webbduck_gradio.services import Services
from webbduck_gradio.ui.loras.model_folders import server_function


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = foreign_trees.comfyui(tmp_path_factory.mktemp("other") / "ComfyUI")
    foreign_trees.lora(root / "models" / "controlnet" / "canny.safetensors")
    return root


@pytest.fixture
def ask(studio) -> Iterator[Callable[..., Any]]:
    """Calls an endpoint; afterwards the studio has no folders."""
    client = Client(studio.url, verbose=False)
    yield lambda name, *values: client.predict(*values, api_name=f"/{name}")
    for each in studio.services.registry.foreign.trees():
        client.predict(each.label, api_name="/remove_model_folder")
    client.close()


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_folder_is_looked_at_added_and_removed(ask: Callable[..., Any], comfyui: Path) -> None:
    before = contents(comfyui)
    checked = ask("check_model_folder", str(comfyui))
    assert (checked["program"], checked["folder"], checked["problems"]) == ("ComfyUI", str(comfyui), [])
    weights = {"checkpoint": 1, "lora": 2, "vae": 1, "embedding": 1, "upscale": 1, "controlnet": 1}
    assert checked["found"] == weights | {"wildcards": 1}
    assert ask("model_folders") == []

    added = ask("add_model_folder", str(comfyui))
    assert added["label"] == "ComfyUI" and added["given"] is False
    assert {kind: added["found"].get(kind) for kind in checked["found"]} == checked["found"]
    assert ask("model_folders") == [added]
    names = {(each["name"], each["origin"]) for each in ask("loras")}
    assert {("ComfyUI/ink", "ComfyUI"), ("ComfyUI/sub/detail", "ComfyUI")} <= names
    with pytest.raises(AppError, match="'ComfyUI' is read already, as ComfyUI"):
        ask("add_model_folder", str(comfyui))

    assert ask("remove_model_folder", "ComfyUI") == []
    assert not [each for each in ask("loras") if each["origin"]]
    assert ask("add_model_folder", str(comfyui), "Kept")["label"] == "Kept"
    assert contents(comfyui) == before


def test_a_folder_that_nobody_laid_out(ask: Callable[..., Any], tmp_path: Path) -> None:
    """Where no folder's name tells, nothing is known of a file before its header is read."""
    foreign_trees.lora(tmp_path / "mixed" / "one.safetensors")
    foreign_trees.checkpoint(tmp_path / "mixed" / "two.safetensors")
    checked = ask("check_model_folder", str(tmp_path / "mixed"))
    assert (checked["label"], checked["found"]) == ("mixed", {"file": 2})
    assert ask("add_model_folder", str(tmp_path / "mixed"))["found"] == {"checkpoint": 1, "lora": 1}


def test_others_get_no_paths_and_can_name_none(studio, ask: Callable[..., Any], comfyui: Path) -> None:
    ask("add_model_folder", str(comfyui))
    reached = dataclasses.replace(studio.settings, host="0.0.0.0")
    services: Services = dataclasses.replace(studio.services, settings=reached)
    for refused in (
        lambda: model_folders.check_model_folder(services, str(comfyui.parent)),
        lambda: model_folders.add_model_folder(services, str(comfyui.parent)),
        lambda: model_folders.remove_model_folder(services, "ComfyUI"),
    ):
        with pytest.raises(RequestError, match="--models-from FOLDER"):
            refused()
    dialog = server_function(services)
    told = dialog({"action": "list"})
    assert told["folders"][0]["folder"] is None and told["suggestions"] == []
    assert told["refusal"] == model_folders.ONLY_AT_START
    assert str(comfyui.parent) not in json.dumps(told)
    assert dialog({"action": "remove", "label": "ComfyUI"}) == {"error": model_folders.ONLY_AT_START}
    assert [each["label"] for each in ask("model_folders")] == ["ComfyUI"]
