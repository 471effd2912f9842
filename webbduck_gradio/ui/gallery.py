"""The Gallery tab: finished pictures by run, and one of them at full size with its settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..errors import WebbDuckError
from ..request import GenerationRequest
from . import views
from .events import QUIET, outcome, payload
from .form import Form
from .services import Services
from .theme import asset

log = logging.getLogger(__name__)


def build(services: Services, form: Form, channels: dict[str, gr.HTML], tabs: gr.Tabs) -> None:
    """The tab's view; it asks for its pages itself, as it is scrolled."""

    def webbduck_runs(asked: Any) -> dict[str, Any]:
        page = asked if isinstance(asked, dict) else {}
        start, limit, query = page.get("start", 0), page.get("limit", 30), page.get("query", "")
        return told(lambda: {"runs": views.gallery_view(services, start, limit, query)})

    def webbduck_image(image_id: Any) -> dict[str, Any]:
        return told(lambda: views.image_view(services, image_id))

    def webbduck_delete(image_id: Any) -> dict[str, Any]:
        return told(lambda: views.trash_view(services.trash.delete_image(image_id)))

    def webbduck_restore(entry_id: Any) -> dict[str, Any]:
        return told(lambda: {"images": list(services.trash.restore(entry_id))})

    view = gr.HTML(
        "",
        html_template=asset("gallery.html"),
        js_on_load=asset("gallery.js"),
        elem_id="gallery-view",
        server_functions=[webbduck_runs, webbduck_image, webbduck_delete, webbduck_restore],
    )

    def reuse(event: gr.EventData) -> Any:
        try:
            found = views.image_view(services, str(payload(event).get("id", "")))
            request = GenerationRequest.of(**(found["request"] or {}))
        except WebbDuckError as error:
            return [outcome(error=str(error)), gr.Tabs(selected="studio"), *form.nothing()]
        return [form.told(request), gr.Tabs(selected="studio"), *form.filled(request)]

    view.reuse(reuse, None, [channels["outcome"], tabs, *form.outputs], **QUIET)


def told(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work answers, or {"error": one sentence}."""
    try:
        return work()
    except WebbDuckError as error:
        return {"error": str(error)}
    except Exception:
        log.exception("The gallery's view could not be served")
        return {"error": "That did not work; the log has the details."}
