"""/redraw, which runs as a job like /generate."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from ..services import Services
from . import serializers
from .answers import RedrawAnswer
from .client_files import asked_picture
from .endpoints import endpoint
from .gradio_helpers import file_data
from .job_results import check_wait, owner_of, submit


@endpoint(waits=True)
async def redraw(
    services: Services,
    image: gr.FileData | str,
    scale: float | None = None,
    upscaler: str | None = None,
    tile_size: int | None = None,
    overlap: int | None = None,
    strength: float | None = None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    base_model: str | None = None,
    steps: int | None = None,
    cfg: float | None = None,
    sampler: str | None = None,
    schedule: str | None = None,
    seed: int | None = None,
    loras: list[dict[str, Any]] | None = None,
    captioner: str | None = None,
    settings: dict[str, Any] | None = None,
    wait_for_result: bool = True,
    styles: list[Any] | None = None,
    request: gr.Request | None = None,
) -> tuple[list[gr.FileData], RedrawAnswer]:
    """Enlarge a picture and draw its details anew by img2img in tiles, up to 8192 px on the longer side.

    image: the id of a gallery picture, or a file. None for scale and strength means what the checkpoint
    recommends; for prompt, checkpoint, steps, sampler, seed or LoRAs, what the picture records, else the
    checkpoint's default. The result is saved beside its original as N_upscaled.png with all its metadata; for
    a file, in a new run. Returns the file and {job_id, status, images, upscaler, scale, warnings, request};
    with wait_for_result=False immediately and without a file."""
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    asked: dict[str, Any] = {
        "image": picture,
        "scale": scale,
        "upscaler": upscaler,
        "tile_size": tile_size,
        "overlap": overlap,
        "strength": strength,
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "base_model": base_model,
        "steps": steps,
        "cfg": cfg,
        "sampler": sampler,
        "schedule": schedule,
        "seed": seed,
        "loras": loras,
        "styles": styles,
        "captioner": captioner,
        "settings": settings,
    }
    job = await submit(services, "redraw", asked, owner_of(request), wait_for_result)
    view = serializers.job_view(services, job)
    info: RedrawAnswer = {
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
