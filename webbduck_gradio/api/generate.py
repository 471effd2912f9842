"""/generate and /test, whose parameters are the fields of the request."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr
from pydantic.fields import FieldInfo

from ..jobs.job import Job, Kind
from ..request import SETTINGS, GenerationRequest
from ..services import Services
from . import serializers
from .client_files import stored_input
from .endpoints import endpoint
from .gradio_helpers import file_data
from .job_results import check_wait, owner_of, submit

PICTURES = tuple(name for name, setting in SETTINGS.items() if setting.control == "file")
Answer = tuple[list[gr.FileData], dict[str, Any]]


def with_settings(leave_out: tuple[str, ...] = (), **more: Any) -> Callable[..., Callable[..., Any]]:
    """Turn `fn(services, asked, request)` into a handler whose parameters are the settings, then `more`.

    They are read off `GenerationRequest`, so that the API cannot fall behind it. A setting that the
    checkpoint has a default for defaults to None.
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
    # Where it stood before a sampler and its schedule were two parameters, for clients that go by position.
    both = inspect.Parameter("scheduler", kind, default=None, annotation=str | None)
    parameters.insert([each.name for each in parameters].index("seed"), both)
    # The prompt comes first and is the one parameter without a default.
    parameters[0] = parameters[0].replace(default=inspect.Parameter.empty)
    services = inspect.Parameter("services", kind, annotation=Services)
    signature = inspect.Signature([services, *parameters], return_annotation=Answer)

    def decorate(fn: Callable[[Services, dict[str, Any], gr.Request | None], Awaitable[Answer]]) -> Any:
        async def handler(services: Services, *values: Any) -> Answer:
            asked = dict(zip([each.name for each in parameters], values, strict=False))
            return await fn(services, asked, asked.pop("request", None))

        handler.__name__, handler.__doc__, handler.__module__ = fn.__name__, fn.__doc__, fn.__module__
        handler.__signature__ = signature  # type: ignore[attr-defined]
        return handler

    return decorate


def _default_and_type(name: str, field: FieldInfo) -> tuple[Any, Any]:
    if name in PICTURES:
        return None, gr.FileData | None
    setting = SETTINGS[name]
    if setting.control == "loras":
        return None, list[dict[str, Any]] | None
    if setting.reset == "checkpoint" or setting.default is None:
        return None, field.annotation | None  # type: ignore[operator]
    return field.default, field.annotation


async def _run(
    services: Services, kind: Kind, asked: dict[str, Any], request: gr.Request | None, wait_for_result: Any
) -> Answer:
    check_wait(wait_for_result)
    if asked["loras"] is None:
        asked["loras"] = ()
    for field in PICTURES:
        asked[field] = await asyncio.to_thread(stored_input, services, asked.get(field))
    job = await submit(services, kind, asked, owner_of(request), wait_for_result)
    return [file_data(services.outputs.resolve(image)) for image in job.images], _answer(services, job)


def _answer(services: Services, job: Job) -> dict[str, Any]:
    view = serializers.job_view(services, job)
    names = (
        "job_id",
        "status",
        "run",
        "seeds",
        "warnings",
        "request",
        "images",
        "position",
        "headline",
        "error",
    )
    return {name: view[name] for name in names}


@endpoint(waits=True)
@with_settings(wait_for_result=True)
async def generate(services: Services, asked: dict[str, Any], request: gr.Request | None) -> Answer:
    """Make pictures.

    None for a setting that the checkpoint has a default for means that default; seed None or -1 is random.
    Answers the files and {job_id, status, run, seeds, images, warnings, request}; with
    wait_for_result=False at once, without files."""
    return await _run(services, "generate", asked, request, asked.pop("wait_for_result"))


@endpoint(waits=True)
@with_settings(leave_out=("num_images",))
async def test(services: Services, asked: dict[str, Any], request: gr.Request | None) -> Answer:
    """One picture with these settings; else as /generate."""
    return await _run(services, "test", asked | {"num_images": 1}, request, True)
