"""What the tabs' events and the endpoints share."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import WebbDuckError

log = logging.getLogger(__name__)

BACKGROUND_EVENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""How the page's own events run: at once, without Gradio's spinner, outside the public API."""
USER_ACTION: dict[str, Any] = BACKGROUND_EVENT | {"trigger_mode": "multiple"}
"""The same for presses of a person: each counts, also while the one before is on its way."""


def page_json(value: Any) -> str:
    """JSON for a component of the page. No tag stands in it as such: Gradio warns of every `<script`."""
    return json.dumps(value).replace("<", "\\u003c")


def notification(**found: Any) -> str:
    """What became of a press, for the page's outcome channel: job_id, warnings, error."""
    # The time makes each outcome differ from the one before, so that the page sees every press.
    return page_json({"job_id": None, "warnings": [], "error": None, "at": time.time_ns(), **found})


def error_as_dict(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work answers, or {"error": one sentence}."""
    try:
        return work()
    except WebbDuckError as error:
        return {"error": str(error)}
    except Exception:
        log.exception("A view could not be served")
        return {"error": "That did not work; the log has the details."}


def file_data(path: Path) -> gr.FileData:
    """A file of ours as an endpoint's answer."""
    return gr.FileData(path=str(path), orig_name=path.name, meta={"_type": "gradio.FileData"})


def whole_number(value: Any) -> Any:
    """3 for 3.0, which is how JSON clients may send it; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
