"""Shared by the endpoints that submit jobs: submitting, and waiting for the result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gradio as gr

from ..errors import RequestError
from ..jobs.job import Job, Kind
from ..jobs.store import JobStore
from ..services import Services
from .gradio_internals import current_call
from .status_line import status_line

REPORT_SECONDS = 0.25
"""Minimum time between two progress reports of a job."""


def check_wait(wait_for_result: Any) -> None:
    """Raises `RequestError` if it is not a boolean. To be called before any upload is stored."""
    if not isinstance(wait_for_result, bool):
        raise RequestError("wait_for_result must be true or false.")


def owner_of(request: gr.Request | None) -> str | None:
    """The name under which the client logged in."""
    return request.username if request else None


async def submit(
    services: Services, kind: Kind, asked: Mapping[str, Any], owner: str | None, wait_for_result: bool
) -> Job:
    """The queued job, or with `wait_for_result` the one that ended or was put aside.

    Raises `RequestError` for an invalid request, and `gr.Error` with the job's error if it was waited for,
    did not complete and has no finished image.
    """
    job = await asyncio.to_thread(services.submit, dict(asked), kind, owner)
    if not wait_for_result:
        return job
    job = await wait_with_progress(services, job)
    if job.state != "completed" and not job.images:
        reason = job.error or status_line(job)
        if job.state == "suspended":
            reason = (
                f"The job {job.id} was put aside; /continue lets it go on, and /job tells when it has ended."
            )
        raise gr.Error(reason, print_exception=False)
    return job


async def wait_with_progress(services: Services, job: Job) -> Job:
    """As `wait_for_end`, for the call being answered. A client that disconnects does not cancel the job."""
    progress = gr.Progress()
    # Gradio's cancel request contains this id, from which the middleware finds the job to cancel.
    call = current_call()
    if call:
        services.calls[call] = job.id
    try:
        return await wait_for_end(services.store, job, progress)
    finally:
        if call:
            services.calls.pop(call, None)


async def wait_for_end(store: JobStore, job: Job, progress: gr.Progress) -> Job:
    """The job when it has ended, or was put aside, nobody knows for how long. Reports its progress; woken by
    changes only, never by polling."""
    loop = asyncio.get_running_loop()
    changed, list_changed = asyncio.Event(), asyncio.Event()

    def wake(of_list: bool) -> None:
        changed.set()
        if of_list:
            list_changed.set()

    def listener(of_list: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed when the studio stops
            loop.call_soon_threadsafe(wake, of_list)

    with store.database.listening(listener):
        while True:
            # Cleared before the job is read, so that no later change is missed.
            changed.clear()
            list_changed.clear()
            job = store.get(job.id)
            if job.ended or job.state == "suspended":
                return job
            if job.total:
                percent = int(100 * job.progress)
                progress((percent, 100), desc=status_line(job), unit="%")
            reported = time.monotonic()
            await changed.wait()
            # Progress is throttled; a change of the list, such as the job's end, is handled at once.
            with suppress(TimeoutError):
                async with asyncio.timeout_at(loop.time() + reported + REPORT_SECONDS - time.monotonic()):
                    await list_changed.wait()
