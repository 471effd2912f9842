"""What the tabs' events and the endpoints share."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from ..errors import WebbDuckError

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

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


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What a view sent along; anything but a table of values counts as nothing."""
    return event._data if isinstance(event._data, dict) else {}


def error_as_dict(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work answers, or {"error": one sentence}."""
    try:
        return work()
    except WebbDuckError as error:
        return {"error": str(error)}
    except Exception:
        log.exception("A view could not be served")
        return {"error": "That did not work; the log has the details."}


QUICK_ENDPOINT: dict[str, Any] = {"concurrency_id": "ask", "concurrency_limit": 16}
"""Lane of the endpoints that answer at once."""


def file_data(path: Path) -> gr.FileData:
    """A file of ours as an endpoint's answer."""
    return gr.FileData(path=str(path), orig_name=path.name, meta={"_type": "gradio.FileData"})


def errors_as_gr_error(fn: F) -> F:
    """An error of ours reaches the client as its one sentence; any other as one that says where to look."""

    def told(error: Exception) -> gr.Error:
        if isinstance(error, WebbDuckError):
            return gr.Error(str(error), print_exception=False)
        log.exception("An endpoint failed")
        return gr.Error(
            "Something went wrong inside the studio; its log has the details.", print_exception=False
        )

    # Gradio reads types off the signature and takes those that are still text for Any.
    signature = inspect.signature(fn, eval_str=True)
    if asyncio.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            try:
                return await fn(*args, **kwargs)
            except gr.Error:
                raise
            except Exception as error:
                raise told(error) from None

        waiting.__signature__ = signature  # type: ignore[attr-defined]
        return waiting  # type: ignore[return-value]

    @functools.wraps(fn)
    def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise told(error) from None

    answering.__signature__ = signature  # type: ignore[attr-defined]
    return answering  # type: ignore[return-value]
