"""The Queue tab: what runs, what waits, what ended."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..errors import WebbDuckError
from .events import QUIET, outcome, payload
from .services import Services
from .theme import asset


def build(services: Services, channels: dict[str, gr.HTML]) -> None:
    """The tab's view and its events."""
    view = gr.HTML("", html_template=asset("queue.html"), js_on_load=asset("queue.js"), elem_id="queue-view")

    def cancel(event: gr.EventData) -> Any:
        try:
            services.store.cancel(str(payload(event).get("job_id", "")))
        except WebbDuckError as error:
            return outcome(error=str(error))
        return gr.skip()

    view.cancel_job(cancel, None, channels["outcome"], **QUIET)
