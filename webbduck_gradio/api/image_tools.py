"""The endpoints that work on a picture: /upscale and /caption. Both go through the queue like /generate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import gradio as gr

from ..errors import RequestError
from ..jobs.job import Job, Kind
from ..services import Services
from . import serializers
from .client_files import picture_id
from .gradio_helpers import errors_as_gr_error, file_data


def register(
    services: Services,
    wait_with_progress: Callable[[Job], Awaitable[Job]],
    waiting: dict[str, Any],
) -> None:
    """Put the endpoints into the Blocks that is being built.

    `wait_with_progress`: waits for a job's end; `waiting`: Gradio's options for calls that wait.
    """

    async def completed_job(job: Job, wait: Any) -> Job:
        if not wait:
            return job
        job = await wait_with_progress(job)
        if job.state != "completed":
            raise gr.Error(job.error or serializers.status_line(job), print_exception=False)
        return job

    async def submitted(kind: Kind, asked: dict[str, Any], wait: Any, request: gr.Request | None) -> Job:
        if not isinstance(wait, bool):
            raise RequestError("wait_for_result must be true or false.")
        if asked["image"] is None:
            raise RequestError("image is missing; give a picture's id or a file.")
        asked["image"] = await asyncio.to_thread(picture_id, services, asked["image"])
        return await asyncio.to_thread(services.submit, asked, kind, request.username if request else None)

    @errors_as_gr_error
    async def upscale(
        image: gr.FileData | str,
        scale: Literal[2, 4] = 2,
        upscaler: str | None = None,
        wait_for_result: bool = True,
        request: gr.Request | None = None,
    ) -> tuple[list[gr.FileData], dict[str, Any]]:
        """Make a picture 2 or 4 times as large.

        image: an id of the gallery, or a file. upscaler: a name of /upscalers, "Lanczos", or None = the first
        model that is there. The copy is saved beside its original as N_upscaled.png with all its metadata; of
        a file, in a new run. Answers the file and {job_id, status, images, upscaler, scale, warnings};
        with wait_for_result=False at once, without a file."""
        asked = {"image": image, "scale": scale, "upscaler": upscaler}
        job = await submitted("upscale", asked, wait_for_result, request)
        job = await completed_job(job, wait_for_result)
        view = serializers.job_view(services, job)
        info = {key: view[key] for key in ("job_id", "status", "images", "warnings", "headline", "request")}
        info |= {key: view["request"][key] for key in ("upscaler", "scale")}
        return [file_data(services.outputs.resolve(each)) for each in job.images], info

    @errors_as_gr_error
    async def caption(
        image: gr.FileData | str,
        style: str = "detailed",
        captioner: str | None = None,
        max_tokens: int = 300,
        wait_for_result: bool = True,
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Put a picture into words.

        image: an id of the gallery, or a file. style: one of /caption_styles. captioner: a name of
        /captioners, None = the first usable one. max_tokens: 1 to 1000. Answers {caption, style, captioner,
        warnings, job_id, status}; with wait_for_result=False at once, without a caption: /job tells it as
        `result` when the job has ended."""
        asked = {"image": image, "style": style, "captioner": captioner, "max_tokens": max_tokens}
        job = await submitted("caption", asked, wait_for_result, request)
        job = await completed_job(job, wait_for_result)
        view = serializers.job_view(services, job)
        return {
            "caption": (job.result or {}).get("caption"),
            "style": view["request"]["style"],
            "captioner": view["request"]["captioner"],
            **{key: view[key] for key in ("job_id", "status", "headline", "warnings")},
        }

    for endpoint in (upscale, caption):
        gr.api(endpoint, api_name=endpoint.__name__, **waiting)
