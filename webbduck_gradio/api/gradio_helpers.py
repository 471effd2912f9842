"""Helpers shared by the tabs' events and the endpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import WebbDuckError

log = logging.getLogger(__name__)

BACKGROUND_EVENT: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
}
"""Options of the page's own events: not queued, without Gradio's spinner, outside the public API.

Without `show_progress_on`, Gradio's page updates the status of every component that any event has ever
written to, twice for each event, which takes 90 ms of processor time; and a component that disappears in the
middle of an event counts frames for ever."""
USER_ACTION: dict[str, Any] = BACKGROUND_EVENT | {"trigger_mode": "multiple"}
"""The same for clicks: each one counts, also while the previous one is still being handled."""


def page_json(value: Any) -> str:
    """JSON for a component of the page, with "<" escaped, because Gradio warns about every `<script`."""
    return json.dumps(value).replace("<", "\\u003c")


def notification(**found: Any) -> str:
    """The outcome of a user action, for the page's outcome channel: job_id, warnings, error."""
    # The time makes consecutive outcomes differ, since Gradio does not deliver unchanged values.
    return page_json({"job_id": None, "warnings": [], "error": None, "at": time.time_ns(), **found})


def error_as_dict(work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The result of `work`, or {"error": message} if it raises."""
    try:
        return dict(work())
    except WebbDuckError as error:
        return {"error": str(error)}
    except Exception:
        log.exception("A page event failed")
        return {"error": "The action failed; the log has the details."}


def file_data(path: Path) -> gr.FileData:
    """One of the studio's files as an endpoint's return value."""
    return gr.FileData(path=str(path), orig_name=path.name, meta={"_type": "gradio.FileData"})


def whole_number(value: Any) -> Any:
    """3 for 3.0, as some JSON clients send it; any other value unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
