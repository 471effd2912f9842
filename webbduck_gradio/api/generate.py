"""The named endpoints, for gradio_client and plain HTTP.

Gradio validates none of the parameters of `gr.api`: each goes into the one request, which does.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from pydantic.fields import FieldInfo

from ..errors import RequestError
from ..jobs import dispatcher
from ..jobs.job import Job, Kind
from ..jobs.store import JobStore
from ..request import SETTINGS, GenerationRequest
from ..services import Services
from . import catalog, image_tools, serializers
from .client_files import stored_input
from .gradio_helpers import QUICK_ENDPOINT, errors_as_gr_error, file_data

log = logging.getLogger(__name__)

FOLLOWERS = 64
"""Clients that may wait for their jobs at the same time; the queue itself holds fewer."""
TELL_SECONDS = 0.25
"""Least time between two reports of its progress."""

PICTURES = tuple(name for name, setting in SETTINGS.items() if setting.control == "file")
Answer = tuple[list[gr.FileData], dict[str, Any]]

GENERATE_DOC = """Make pictures.

None for a setting that the checkpoint has a default for means that default; seed None or -1 is random.
Answers the files and {job_id, status, run, seeds, images, warnings, request}; with
wait_for_result=False at once, without files."""
TEST_DOC = """One picture with these settings; else as /generate."""


def whole(value: Any) -> Any:
    """3 for 3.0, which is how JSON clients may send it; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def with_parameters(
    fn: Callable[[dict[str, Any], str | None], Any], doc: str, leave_out: tuple[str, ...] = (), **more: Any
) -> Callable[..., Any]:
    """`fn(asked, owner)` as an endpoint whose parameters are the fields of the request.

    They are read off `GenerationRequest`, so that the API cannot fall behind it. A field that the
    checkpoint has a default for defaults to None.
    """
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
        for name, default, kind in [
            *(
                (name, *_default_and_type(name, field))
                for name, field in GenerationRequest.model_fields.items()
                if name not in leave_out
            ),
            *((name, default, type(default)) for name, default in more.items()),
            ("request", None, gr.Request),
        ]
    ]
    # Where it stood before a sampler and its schedule were two parameters, for clients that go by position.
    both = inspect.Parameter(
        "scheduler", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=str | None
    )
    parameters.insert([each.name for each in parameters].index("seed"), both)
    # The prompt comes first and is the one parameter without a default.
    parameters[0] = parameters[0].replace(default=inspect.Parameter.empty)
    signature = inspect.Signature(parameters, return_annotation=Answer)

    async def endpoint(*values: Any) -> Answer:
        asked = dict(zip(signature.parameters, values, strict=False))
        request = asked.pop("request", None)
        return await fn(asked, getattr(request, "username", None))

    endpoint.__name__ = fn.__name__
    endpoint.__doc__ = doc
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    endpoint.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": Answer}
    return endpoint


def _default_and_type(name: str, field: FieldInfo) -> tuple[Any, Any]:
    if name in PICTURES:
        return None, gr.FileData | None
    setting = SETTINGS[name]
    if setting.control == "loras":
        return None, list[dict[str, Any]] | None
    if setting.reset == "checkpoint" or setting.default is None:
        return None, field.annotation | None  # type: ignore[operator]
    return field.default, field.annotation


async def wait_for_end(store: JobStore, job: Job, progress: gr.Progress) -> Job:
    """The job when it has ended; its progress is reported meanwhile. Costs nothing while nothing changes."""
    loop = asyncio.get_running_loop()
    changed, list_changed = asyncio.Event(), asyncio.Event()

    def wake(of_the_list: bool) -> None:
        changed.set()
        if of_the_list:
            list_changed.set()

    def listener(of_the_list: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed when the studio stops
            loop.call_soon_threadsafe(wake, of_the_list)

    with store.database.listening(listener):
        while True:
            # Before the job is read, so that what changes afterwards is not missed.
            changed.clear()
            list_changed.clear()
            job = store.get(job.id)
            if job.ended:
                return job
            if job.total:
                done = job.image_index * job.total + job.step
                progress(
                    (done, job.total * max(1, job.images_asked)),
                    desc=serializers.status_line(job),
                    unit="steps",
                )
            reported = time.monotonic()
            await changed.wait()
            # The end of a job is answered at once, its steps are reported now and then.
            with suppress(TimeoutError):
                async with asyncio.timeout_at(loop.time() + reported + TELL_SECONDS - time.monotonic()):
                    await list_changed.wait()


def register(services: Services, ticket_secret: str) -> None:
    """Put every endpoint into the Blocks that is being built. Comes before the page's own events,
    since names that collide are renamed silently."""
    store = services.store

    def info(job: Job) -> dict[str, Any]:
        view = serializers.job_view(services, job)
        return {key: view[key] for key in ("job_id", "status", "run", "seeds", "warnings", "request")} | {
            "images": view["images"],
            "position": view["position"],
            "headline": view["headline"],
            "error": view["error"],
        }

    async def wait_with_progress(job: Job) -> Job:
        """Wait until the job ends, reporting its progress. A client that goes away stops nothing."""
        progress = gr.Progress()
        # Gradio's own cancel names this call; the gatekeeper turns it into a cancel of this one job.
        call = LocalContext.event_id.get(None)
        if call:
            services.calls[call] = job.id
        try:
            return await wait_for_end(store, job, progress)
        finally:
            if call:
                services.calls.pop(call, None)

    async def run(kind: Kind, asked: dict[str, Any], wait: Any, owner: str | None) -> Answer:
        if not isinstance(wait, bool):
            raise RequestError("wait_for_result must be true or false.")
        if asked["loras"] is None:
            asked["loras"] = ()
        for field in PICTURES:
            asked[field] = await asyncio.to_thread(stored_input, services, asked.get(field))
        job = await asyncio.to_thread(services.submit, asked, kind, owner)
        if wait:
            job = await wait_with_progress(job)
            if job.state != "completed" and not job.images:
                raise gr.Error(job.error or serializers.status_line(job), print_exception=False)
        return [file_data(services.outputs.resolve(image)) for image in job.images], info(job)

    @errors_as_gr_error
    async def generate(asked: dict[str, Any], owner: str | None) -> Answer:
        return await run("generate", asked, asked.pop("wait_for_result"), owner)

    @errors_as_gr_error
    async def test(asked: dict[str, Any], owner: str | None) -> Answer:
        return await run("test", asked | {"num_images": 1}, True, owner)

    @errors_as_gr_error
    def queue() -> dict[str, Any]:
        """The running job, the queued ones in order, and the last that ended."""
        services.worker.previews.mark_watched()
        return serializers.queue_view(services)

    @errors_as_gr_error
    def job(job_id: str) -> dict[str, Any]:
        """One job."""
        services.worker.previews.mark_watched()
        return serializers.job_view(services, store.get(job_id))

    @errors_as_gr_error
    def cancel(job_id: str, after_image: bool = False) -> dict[str, Any]:
        """Cancel a queued job at once, the running one at its next step or after the image that it is at;
        finished images are kept."""
        if not isinstance(after_image, bool):
            raise RequestError("after_image must be true or false.")
        return serializers.job_view(services, store.cancel(job_id, after_image))

    @errors_as_gr_error
    def retry(job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
        """A failed, cancelled or interrupted job again, with the same seeds, as a new job."""
        return serializers.job_view(services, store.retry(job_id, request.username if request else None))

    @errors_as_gr_error
    def pause() -> dict[str, Any]:
        """Start no further job; the running one ends first."""
        store.pause()
        return serializers.queue_view(services)

    @errors_as_gr_error
    def resume() -> dict[str, Any]:
        """Go on after /pause."""
        store.resume()
        return serializers.queue_view(services)

    @errors_as_gr_error
    def move(job_id: str, position: int | str) -> dict[str, Any]:
        """Move a queued job: to a position (1 = next), or "up", "down", "top", "bottom"."""
        store.get(job_id)  # one job: the store itself would take several
        store.move(job_id, whole(position))
        return serializers.queue_view(services)

    @errors_as_gr_error
    def health() -> dict[str, Any]:
        """Device, memory, catalog, queue, loaded checkpoint, versions."""
        return services.health()

    @errors_as_gr_error
    def gpu_lane(ticket: str) -> str:
        return dispatcher.run_next_job(services.worker, ticket, ticket_secret)

    waiting = {"concurrency_id": "follow", "concurrency_limit": FOLLOWERS}
    gr.api(with_parameters(generate, GENERATE_DOC, wait_for_result=True), api_name="generate", **waiting)
    gr.api(with_parameters(test, TEST_DOC, leave_out=("num_images",)), api_name="test", **waiting)
    for endpoint in (
        queue,
        job,
        cancel,
        retry,
        pause,
        resume,
        move,
        health,
    ):
        gr.api(endpoint, api_name=endpoint.__name__, **QUICK_ENDPOINT)
    catalog.register(services)
    image_tools.register(services, wait_with_progress, waiting)
    gr.api(gpu_lane, api_name="gpu_lane", api_visibility="private", concurrency_id="gpu", concurrency_limit=1)
