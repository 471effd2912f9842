"""The Studio's detail passes: cards with a detector and what its regions are drawn with.

Its value in the page is JSON with every pass as it was typed, "" without any. The form converts it to and
from the `details` of a request (`to_request`, `to_control`), as with the LoRA stack.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...api.gradio_helpers import USER_ACTION, notification, page_json
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...request import DETAIL_SETTINGS, MAX_DETAILS
from ...services import Services
from ..modules import start_view
from ..shared.numbers import read
from . import list_values


def build(services: Services, fields: dict[str, Any], outcome: gr.HTML) -> None:
    """Build the control. `outcome` is the channel that gets the result of a detection."""

    def detect(event: gr.EventData, request: gr.Request) -> str:
        asked = event_data(event)
        try:
            wanted = {name: asked.get(name) for name in ("image", "detector", "confidence")}
            wanted["confidence"] = _number("confidence", wanted["confidence"])
            job = services.submit(wanted, "detect", request.username)
        except WebbDuckError as error:
            return notification(where="details", error=str(error))
        return notification(where="details", detect=job.id)

    view = gr.HTML(
        "",
        html_template='<div class="details"></div>',
        js_on_load=start_view("studio/details.js", "detect"),
        elem_id="details",
        apply_default_css=False,
        most=MAX_DETAILS,
    )
    view.detect(detect, None, outcome, **USER_ACTION)
    fields["details"] = view


def to_request(payload: Any) -> Any:
    """The request's `details` from the page's value. Anything malformed is passed on for validation to
    refuse."""
    return list_values.to_request(
        payload,
        lambda entry: {name: _typed(name, value) for name, value in entry.items() if name in DETAIL_SETTINGS},
    )


def _typed(name: str, value: Any) -> Any:
    if name == "classes" and isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    return _number(name, value) if DETAIL_SETTINGS[name].is_number else value


def _number(name: str, typed: Any) -> Any:
    setting = DETAIL_SETTINGS[name]
    try:
        number = read(typed, whole=setting.is_whole)
    except ValueError as error:
        raise RequestError(f"{setting.label} of a detail pass {error}.", field="details") from None
    if number is None and not setting.is_optional:
        raise RequestError(f"{setting.label} of a detail pass is empty; enter a number.", field="details")
    return number


def to_control(details: Any) -> str:
    """The page's value of these passes."""
    if isinstance(details, str) or not details:
        return details or ""
    entries = list_values.as_entries(details)
    return page_json([{**each, "classes": ", ".join(each.get("classes") or ())} for each in entries])
