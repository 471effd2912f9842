"""The Studio's LoRA stack: LoRAs, their weights and their order.

Its value in the page is JSON with every LoRA of the stack; those turned off stay in the page and never reach
a request. The form converts it to and from the `loras` of a request (`to_request`, `to_control`). The
component cannot do that itself, since Gradio recreates it for a session that it sends an update to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from ...api.gradio_helpers import BACKGROUND_EVENT, page_json
from ...errors import RequestError
from ...request import MAX_LORAS
from ...request.lora_blocks import PRESETS
from ..modules import call, start_view
from ..shared.numbers import read
from ..theme import asset
from . import list_values

NUMBERS = {"weight": "weight", "te_weight": "text encoder weight", "start": "start", "end": "end"}
"""Keys of an entry that hold typed numbers, and what messages call them."""


def build_stack(checkpoint: gr.HTML) -> gr.HTML:
    """Build the component; its view follows the catalog, `checkpoint` and the prompt."""
    stack = gr.HTML(
        "",
        html_template=asset("studio/lora_stack.html"),
        js_on_load=start_view("studio/lora_stack.js"),
        elem_id="stack",
        most=MAX_LORAS,
        presets=list(PRESETS),
    )
    publish: dict[str, Any] = {
        "js": call("shared/bus.js", "module.publish('checkpoint', { name })", "name"),
        **BACKGROUND_EVENT,
    }
    checkpoint.change(None, checkpoint, None, **publish)
    page = gr.context.Context.root_block
    if page is not None:
        page.load(None, checkpoint, None, **publish)
    return stack


def to_request(payload: Any) -> Any:
    """The request's `loras` from the page's value. Anything malformed is passed on for validation to
    refuse."""
    return list_values.to_request(payload, lambda entry: _selection(entry) if entry.get("on", True) else None)


def _selection(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: entry[key] for key in ("name", "blocks") if entry.get(key) not in (None, "")}
    for key, label in NUMBERS.items():
        if key in entry:
            try:
                value = read(entry[key])
            except ValueError as error:
                raise RequestError(f"The {label} of a LoRA {error}.", field="loras") from None
            if value is not None or key == "weight":
                found[key] = value
    return found


def renamed(payload: Any, name_of: Callable[[str], str]) -> Any:
    """The page's value with every name replaced by `name_of(name)`; anything malformed is returned as it
    is."""
    try:
        entries = json.loads(payload)
        return page_json([{**entry, "name": name_of(str(entry["name"]))} for entry in entries])
    except (TypeError, ValueError, KeyError, RecursionError):
        return payload


def to_control(loras: Any) -> str:
    """The page's value of a stack that holds these LoRAs, all turned on."""
    if isinstance(loras, str) or loras is None:
        return loras or ""
    return page_json([_entry(use) for use in list_values.as_entries(loras)])


def _entry(use: Mapping[str, Any]) -> dict[str, Any]:
    """A LoRA as the page holds it: without what is at its default, its block weights as they are typed."""
    usual = {"te_weight": None, "blocks": None, "start": 0, "end": 1}
    told = {key: use[key] for key, value in usual.items() if use.get(key, value) not in (None, value)}
    if isinstance(told.get("blocks"), list | tuple):
        told["blocks"] = ", ".join(f"{number:g}" for number in told["blocks"])
    return {"name": use["name"], "weight": use["weight"], **told, "on": True}
