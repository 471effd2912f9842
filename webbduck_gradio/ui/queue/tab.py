"""The Queue tab: running, waiting and ended jobs, and their controls."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from ...api import serializers
from ...api.gradio_helpers import USER_ACTION, notification
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...jobs.job import Job
from ...services import Services
from ..modules import start_view
from ..tab import PageParts, Tab
from ..theme import asset

MOST_IDS = 1100
"""Limit of jobs in one request; the page never lists more."""


def build(parts: PageParts) -> None:
    """Build the tab's view and its events."""
    services, form, channels, tabs = parts.services, parts.form, parts.channels, parts.tabs

    def webbduck_history(asked: Any) -> dict[str, Any]:
        limit = asked.get("limit") if isinstance(asked, dict) else None
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_IDS:
            return {"error": "The page sent an invalid request (queue)."}
        try:
            return {"jobs": [serializers.job_view(services, job) for job in services.store.recent(limit)]}
        except WebbDuckError as error:
            return {"error": str(error)}

    view = gr.HTML(
        "",
        html_template=asset("queue/queue.html"),
        js_on_load=start_view("queue/queue.js", "steer", "edit_as_new"),
        elem_id="queue-view",
        server_functions=[webbduck_history],
    )

    def act(event: gr.EventData, request: gr.Request) -> Any:
        asked = event_data(event)
        try:
            jobs, refusals = steer(services, asked, request.username)
        except WebbDuckError as error:
            jobs, refusals = [], [str(error)]
        again = jobs[-1].id if jobs and asked.get("action") in ("retry", "again", "continue") else None
        if not refusals and not again:
            return gr.skip()
        return notification(error=" ".join(refusals), where="queue", follow=again)

    def edit(event: gr.EventData) -> Any:
        try:
            job = services.store.get(str(event_data(event).get("id", "")))
            request = job.generation_request
        except WebbDuckError as error:
            return [notification(error=str(error), where="queue"), gr.skip(), *form.nothing()]
        picture = (
            {"image": job.images[-1], "job": serializers.job_view(services, job)} if job.images else None
        )
        outcome = notification(
            done="Settings of the job", notes=form.missing_controls(request), picture=picture
        )
        return [outcome, gr.Tabs(selected="studio"), *form.filled(request)]

    view.steer(act, None, channels["outcome"], **USER_ACTION)
    view.edit_as_new(edit, None, [channels["outcome"], tabs, *form.outputs], **USER_ACTION)


def steer(services: Services, asked: dict[str, Any], owner: str | None) -> tuple[list[Job], list[str]]:
    """Perform `action` of the view, on the jobs `ids` unless it affects the whole queue.

    Returns the affected jobs (new ones for "retry" and "again") and an error message for each job that
    refused.

    Raises `RequestError` for an unknown action, and the store's errors for actions on the whole queue.
    """
    store = services.store
    ids = asked.get("ids", [])
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(isinstance(each, str) for each in ids):
        raise RequestError("The page sent an invalid request (queue).")
    each: dict[str, Callable[[str], Any]] = {
        "cancel": store.cancel,
        "cancel_after_image": lambda job: store.cancel(job, after_image=True),
        "suspend": store.suspend,
        "continue": store.continue_job,
        "retry": lambda job: services.retry(job, owner),
        "again": lambda job: services.submit_again(job, owner),
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
        return store.apply_to_many(each[action], ids)
    if action in whole:
        whole[action]()
        return [], []
    raise RequestError(f"There is no action {json.dumps(action)[:40]}.")


TAB = Tab("Queue", ("queue/queue.css",), build)
