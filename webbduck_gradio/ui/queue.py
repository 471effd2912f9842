"""The Queue tab: what runs, what waits, what ended, and the steering of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..errors import RequestError, WebbDuckError
from ..jobs.store import Store
from .events import PRESS, outcome, payload
from .services import Services
from .studio import Form
from .theme import asset

MOST_IDS = 1100
"""More jobs than the page can hold cannot be steered at once."""


def build(services: Services, form: Form, channels: dict[str, gr.HTML], tabs: gr.Tabs) -> None:
    """The tab's view and its events."""
    view = gr.HTML("", html_template=asset("queue.html"), js_on_load=asset("queue.js"), elem_id="queue-view")

    def act(event: gr.EventData, request: gr.Request) -> Any:
        asked = payload(event)
        try:
            refusals = steer(services.store, asked, request.username)
        except WebbDuckError as error:
            refusals = [str(error)]
        return outcome(error=" ".join(refusals), where="queue") if refusals else gr.skip()

    def edit(event: gr.EventData) -> Any:
        try:
            request = services.store.get(str(payload(event).get("id", ""))).painting
        except WebbDuckError as error:
            return [outcome(error=str(error), where="queue"), gr.skip(), *form.nothing()]
        return [form.told(request), gr.Tabs(selected="studio"), *form.filled(request)]

    view.steer(act, None, channels["outcome"], **PRESS)
    view.edit_as_new(edit, None, [channels["outcome"], tabs, *form.outputs], **PRESS)


def steer(store: Store, asked: dict[str, Any], owner: str | None) -> list[str]:
    """Do what the view asks: `action`, with the jobs `ids` where it is about jobs. Sentences of refusal.

    Raises `RequestError` for an action that is none, and what the store refuses as a whole.
    """
    ids = asked.get("ids", [])
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(isinstance(each, str) for each in ids):
        raise RequestError("The page asked for jobs that cannot be.")
    each: dict[str, Callable[[str], Any]] = {
        "cancel": store.cancel,
        "cancel_after_image": lambda job: store.cancel(job, after_image=True),
        "retry": lambda job: store.retry(job, owner),
        "remove": store.remove,
    }
    whole: dict[str, Callable[[], Any]] = {
        "move": lambda: store.move(ids, asked.get("to", "top")),
        "pause": store.pause,
        "resume": store.resume,
        "clear_queued": store.clear_queued,
        "clear_finished": store.clear_finished,
    }
    action = asked.get("action")
    if action in each:
        return store.several(each[action], ids)[1]
    if action in whole:
        whole[action]()
        return []
    raise RequestError(f"There is no action {json.dumps(action)[:40]}.")
