"""The row below the prompt about wildcards: a preview of what is drawn, and the editor of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import gradio as gr

from ...api.gradio_helpers import error_as_dict
from ...api.wildcards import resolved
from ...errors import RequestError
from ...models.wildcard_edits import WildcardFile
from ...request import MAX_IMAGES
from ...services import Services
from ..modules import start_view
from .lora_stack import to_request

DRAWS = 10
"""Draws of one preview."""
TEXTS = ("prompt", "negative_prompt", "prompt_2")


def build(services: Services) -> None:
    """Build the view of the buttons below the prompt, which it puts beside that of the styles."""

    def webbduck_draws(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: _draws(services, asked if isinstance(asked, dict) else {}))

    def webbduck_wildcards(asked: Any) -> dict[str, Any]:
        """`action`: one of `_actions`; the others are its parameters."""
        return error_as_dict(lambda: _edited(services, asked if isinstance(asked, dict) else {}))

    gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=start_view("studio/wildcards.js"),
        elem_id="wildcards",
        elem_classes="channel",
        server_functions=[webbduck_draws, webbduck_wildcards],
    )


def _draws(services: Services, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ten draws from a seed on, with the number of combinations (see `api.wildcards.ResolveAnswer`)."""
    seed = asked.get("seed")
    wanted = {
        **{name: str(asked.get(name) or "") for name in TEXTS},
        "loras": to_request(asked.get("loras")),
        "seed": seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
    }
    return {**resolved(services.registry, wanted, DRAWS), "images": MAX_IMAGES}


def _edited(services: Services, asked: Mapping[str, Any]) -> dict[str, Any]:
    editor = services.wildcard_editor
    file, text, stamp = asked.get("file"), asked.get("text"), asked.get("stamp")

    def save() -> dict[str, Any]:
        saved, version = editor.save(file, text, stamp)
        return {**_told(saved), "version": version}

    actions: dict[str, Callable[[], dict[str, Any]]] = {
        "list": dict,
        "read": lambda: _told(editor.read(file)),
        "create": lambda: _told(editor.create(file, text)),
        "save": save,
        "rename": lambda: _told(editor.rename(file, asked.get("to"))),
        "delete": lambda: {"version": editor.delete(file, stamp)},
        "restore": lambda: _told(editor.restore(asked.get("version"), stamp)),
    }
    action = actions.get(str(asked.get("action")))
    if action is None:
        raise RequestError("The page sent an invalid request (wildcards).")
    done = action()
    if action is actions["read"]:
        return done
    services.registry.refresh(patient=True)  # so that other pages and the completion see it at once
    return {**done, "files": _files(services)}


def _told(file: WildcardFile) -> dict[str, Any]:
    return {"opened": asdict(file)}


def _files(services: Services) -> list[dict[str, Any]]:
    """Each file with the lists in it: {file, origin, lists: [{name, values}], reason}."""
    files: dict[str, dict[str, Any]] = {}
    for each in services.registry.wildcards():
        entry = files.setdefault(
            each.file, {"file": each.file, "origin": each.origin, "lists": [], "reason": each.unusable}
        )
        entry["lists"].append({"name": each.name, "values": each.lines})
    return sorted(files.values(), key=lambda each: each["file"].casefold())
