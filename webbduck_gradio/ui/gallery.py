"""The Gallery tab: finished pictures by run, and one of them at full size with its settings."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from ..errors import WebbDuckError
from . import views
from .services import Services
from .studio import Form
from .theme import asset

log = logging.getLogger(__name__)


def build(services: Services, form: Form) -> None:
    """The tab's view; it asks for its pages itself, as it is scrolled."""

    def webbduck_runs(asked: Any) -> dict[str, Any]:
        if not isinstance(asked, dict):
            return {"error": "The gallery asked for nothing."}
        try:
            start, limit, query = asked.get("start", 0), asked.get("limit", 30), asked.get("query", "")
            return {"runs": views.gallery_view(services, start, limit, query)}
        except WebbDuckError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("The gallery could not be listed")
            return {"error": "The gallery could not be listed; the log has the details."}

    def webbduck_image(image_id: Any) -> dict[str, Any]:
        try:
            return views.image_view(services, image_id)
        except WebbDuckError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("A picture could not be described")
            return {"error": "The picture's settings could not be read; the log has the details."}

    gr.HTML(
        "",
        html_template=asset("gallery.html"),
        js_on_load=asset("gallery.js"),
        elem_id="gallery-view",
        server_functions=[webbduck_runs, webbduck_image],
    )
