"""Orders with settings that the page kept, in place of the form's present ones."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from ...api.gradio_helpers import USER_ACTION, notification
from ...api.gradio_internals import event_data
from ..modules import start_view
from .form import Form, may_be

MAX_TOKEN = 64
"""Characters of the token by which the page knows the outcome of its order."""


def build(form: Form, outcome: gr.HTML, submit: Callable[..., str]) -> None:
    """Build the hidden component that sends them. `submit(kind, values, request, token=...)` queues a job and
    returns its outcome."""
    view = gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=start_view("studio/submitter.js", "submit_values"),
        elem_id="submitter",
        elem_classes="channel",
    )

    def submit_values(event: gr.EventData, request: gr.Request) -> str:
        asked = event_data(event)
        kind, values = asked.get("kind"), asked.get("values")
        token = str(asked.get("token", ""))[:MAX_TOKEN]
        if (
            kind not in ("generate", "test")
            or not isinstance(values, dict)
            or not all(name in values and may_be(name, values[name]) for name in form.fields)
        ):
            return notification(error="The page sent an invalid request (Studio).", field=None, token=token)
        return submit(kind, tuple(values[name] for name in form.fields), request, token=token)

    view.submit_values(submit_values, None, outcome, **USER_ACTION)
