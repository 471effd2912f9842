"""/generate and /test, whose parameters are the fields of `GenerationRequest`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import gradio as gr
from pydantic.fields import FieldInfo

from ..jobs.job import Job, Kind
from ..request import SETTINGS, GenerationRequest
from ..services import Services
from . import serializers
from .answers import GenerateAnswer
from .client_files import stored_input
from .endpoints import endpoint
from .gradio_helpers import file_data
from .job_results import check_wait, owner_of, submit

IMAGE_FIELDS = tuple(name for name, setting in SETTINGS.items() if setting.control == "file")
Result = tuple[list[gr.FileData], GenerateAnswer]


def with_settings(leave_out: tuple[str, ...] = (), **more: Any) -> Callable[..., Callable[..., Any]]:
    """Turn `fn(services, asked, request)` into a handler whose parameters are the settings, then `more`.

    They are derived from `GenerationRequest`, so that the API is always complete. A setting for which the
    checkpoint has a default defaults to None.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, default, annotation in [
            *(
                (name, *_default_and_type(name, field))
                for name, field in GenerationRequest.model_fields.items()
                if name not in leave_out
            ),
            *((name, default, type(default)) for name, default in more.items()),
            ("request", None, gr.Request),
        ]
    ]
    # At the position it had before sampler and schedule existed, for clients with positional arguments.
    both = inspect.Parameter("scheduler", kind, default=None, annotation=str | None)
    parameters.insert([each.name for each in parameters].index("seed"), both)
    # The prompt is first and the only parameter without a default.
    parameters[0] = parameters[0].replace(default=inspect.Parameter.empty)
    services = inspect.Parameter("services", kind, annotation=Services)
    signature = inspect.Signature([services, *parameters], return_annotation=Result)

    def decorate(fn: Callable[[Services, dict[str, Any], gr.Request | None], Awaitable[Result]]) -> Any:
        async def handler(services: Services, *values: Any) -> Result:
            asked = dict(zip([each.name for each in parameters], values, strict=False))
            return await fn(services, asked, asked.pop("request", None))

        handler.__name__, handler.__doc__, handler.__module__ = fn.__name__, fn.__doc__, fn.__module__
        handler.__signature__ = signature  # type: ignore[attr-defined]
        return handler

    return decorate


def _default_and_type(name: str, field: FieldInfo) -> tuple[Any, Any]:
    if name in IMAGE_FIELDS:
        return None, gr.FileData | None
    setting = SETTINGS[name]
    if setting.control in ("loras", "details"):
        return None, list[dict[str, Any]] | None
    if setting.control == "styles":
        return None, list[Any] | None
    if setting.control == "recorded":
        return None, list[str] | None
    if setting.control == "sides":
        return None, dict[str, Any] | None
    if setting.reset == "checkpoint" or setting.default is None:
        return None, field.annotation | None  # type: ignore[operator]
    return field.default, field.annotation


async def _run(
    services: Services, kind: Kind, asked: dict[str, Any], request: gr.Request | None, wait_for_result: Any
) -> Result:
    check_wait(wait_for_result)
    for field in ("loras", "details", "styles"):
        if asked[field] is None:
            asked[field] = ()
    for field in IMAGE_FIELDS:
        asked[field] = await asyncio.to_thread(stored_input, services, asked.get(field))
    job = await submit(services, kind, asked, owner_of(request), wait_for_result)
    return finished(services, job)


def finished(services: Services, job: Job, notes: Sequence[str] = ()) -> Result:
    """The answer about a job that ended, or was only queued. `notes`: further warnings."""
    files = [file_data(services.outputs.resolve(image)) for image in job.images]
    return files, _answer(services, job, notes)


def _answer(services: Services, job: Job, notes: Sequence[str]) -> GenerateAnswer:
    view = serializers.job_view(services, job)
    return {
        "job_id": view["job_id"],
        "status": view["status"],
        "run": view["run"],
        "seeds": view["seeds"],
        "warnings": [*notes, *view["warnings"]],
        "request": view["request"],
        "images": view["images"],
        "position": view["position"],
        "headline": view["headline"],
        "error": view["error"],
    }


@endpoint(waits=True)
@with_settings(wait_for_result=True)
async def generate(services: Services, asked: dict[str, Any], request: gr.Request | None) -> Result:
    """Generate pictures.

    None means the checkpoint's default, for settings that have one; seed None or -1 is random. Returns the
    files and {job_id, status, run, seeds, images, warnings, request}; with wait_for_result=False immediately
    and without files."""
    return await _run(services, "generate", asked, request, asked.pop("wait_for_result"))


@endpoint(waits=True)
@with_settings(leave_out=("num_images",))
async def test(services: Services, asked: dict[str, Any], request: gr.Request | None) -> Result:
    """Generate a single picture; otherwise like /generate."""
    return await _run(services, "test", asked | {"num_images": 1}, request, True)
