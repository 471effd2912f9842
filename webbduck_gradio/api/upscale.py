"""/upscale, which runs as a job like /generate."""

from __future__ import annotations

import asyncio
from typing import Literal

import gradio as gr

from ..services import Services
from . import serializers
from .answers import UpscaleAnswer
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
    tile_size: int | None = None,
    wait_for_result: bool = True,
    request: gr.Request | None = None,
) -> tuple[list[gr.FileData], UpscaleAnswer]:
    """Upscale a picture to 2 or 4 times its width and height.

    image: the id of a gallery picture, or a file. upscaler: a name of /upscalers, "Lanczos", or None = the
    first model installed. tile_size: side of the tiles that a model works on, 64 to 2048 pixels of the
    picture; None = 256. The upscaled image is saved beside its original as N_upscaled.png with all its
    metadata; for a file, in a new run. Returns the file and {job_id, status, images, upscaler, scale,
    warnings}; with wait_for_result=False immediately and without a file."""
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    asked = {"image": picture, "scale": scale, "upscaler": upscaler, "tile_size": tile_size}
    job = await submit(services, "upscale", asked, owner_of(request), wait_for_result)
    view = serializers.job_view(services, job)
    info: UpscaleAnswer = {
        "job_id": view["job_id"],
        "status": view["status"],
        "images": view["images"],
        "warnings": view["warnings"],
        "headline": view["headline"],
        "request": view["request"],
        "upscaler": view["request"]["upscaler"],
        "scale": view["request"]["scale"],
    }
    return [file_data(services.outputs.resolve(each)) for each in job.images], info
