"""What the tabs' events share."""

from __future__ import annotations

import json
import time
from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""How the page's own events run: at once, without Gradio's spinner, outside the public API."""


def outcome(**found: Any) -> str:
    """What became of a press, for the page's outcome channel: job_id, warnings, error."""
    # The time makes each outcome differ from the one before, so that the page sees every press.
    return json.dumps({"job_id": None, "warnings": [], "error": None, "at": time.time_ns(), **found})


def payload(event: gr.EventData) -> dict[str, Any]:
    """What a view sent along; anything but a table of values counts as nothing."""
    return event._data if isinstance(event._data, dict) else {}
