"""/upscale, which goes through the queue like /generate."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import gradio as gr

from ..services import Services
from . import serializers
from .client_files import asked_picture
from .endpoints import endpoint
from .gradio_helpers import file_data
from .job_results import check_wait, owner_of, submit


@endpoint(waits=True)
async def upscale(
    services: Services,
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
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    asked = {"image": picture, "scale": scale, "upscaler": upscaler}
    job = await submit(services, "upscale", asked, owner_of(request), wait_for_result)
    view = serializers.job_view(services, job)
    info = {key: view[key] for key in ("job_id", "status", "images", "warnings", "headline", "request")}
    info |= {key: view["request"][key] for key in ("upscaler", "scale")}
    return [file_data(services.outputs.resolve(each)) for each in job.images], info
