"""/caption, which runs as a job like /generate."""

from __future__ import annotations

import asyncio

import gradio as gr

from ..services import Services
from . import serializers
from .answers import CaptionAnswer
from .client_files import asked_picture
from .endpoints import endpoint
from .job_results import check_wait, owner_of, submit


@endpoint(waits=True)
async def caption(
    services: Services,
    image: gr.FileData | str,
    style: str = "detailed",
    captioner: str | None = None,
    max_tokens: int = 300,
    wait_for_result: bool = True,
    request: gr.Request | None = None,
) -> CaptionAnswer:
    """Caption a picture.

    image: the id of a gallery picture, or a file. style: one of /caption_styles. captioner: a name of
    /captioners, None = the first usable one. max_tokens: 1 to 1000. Returns {caption, style, captioner,
    warnings, job_id, status}; with wait_for_result=False immediately and without a caption, which /job
    returns as `result` after the job has ended."""
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    asked = {"image": picture, "style": style, "captioner": captioner, "max_tokens": max_tokens}
    job = await submit(services, "caption", asked, owner_of(request), wait_for_result)
    view = serializers.job_view(services, job)
    return {
        "caption": (job.result or {}).get("caption"),
        "style": view["request"]["style"],
        "captioner": view["request"]["captioner"],
        "job_id": view["job_id"],
        "status": view["status"],
        "headline": view["headline"],
        "warnings": view["warnings"],
    }
