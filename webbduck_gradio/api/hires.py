"""/hires, which runs as a job like /generate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import gradio as gr

from ..errors import RequestError
from ..gallery import metadata
from ..gallery.metadata.recall import read_settings
from ..request.hires_fields import DEFAULT_HIRES_SCALE
from ..services import Services
from .client_files import asked_picture
from .endpoints import endpoint
from .generate import Result, finished
from .job_results import check_wait, owner_of, submit

SCALE_OF = "The hires scale is {:g}, as {} recommends."
SIZES = ("hires_scale", "hires_width", "hires_height")


def with_hires_pass(
    services: Services, image_id: str, wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The request that draws a picture of the studio again, with a hires pass, and notes about what is
    missing or can differ. `wanted`: its settings; without a scale or size, or a strength, those that the
    checkpoint recommends.

    The whole picture is drawn again, so that the result is the one of asking for the hires pass at once:
    latents are not kept, and the file may be lossy. Raises `NotFoundError`, `StorageError`, and
    `RequestError` for a picture that does not record its whole request.
    """
    path = services.worker.context.picture_path(image_id)
    found = metadata.read(path)
    recorded = found["settings"]  # what was drawn, whatever became of the wildcards
    if found["request"] is None:
        raise RequestError(
            "A hires pass draws the picture again, and this one does not record how this studio made it; "
            "upscale it, or use it as input picture."
        )
    _, notes = read_settings(path, services.registry, services.inputs, services.worker.describe())
    sizes = {name: wanted.get(name) or None for name in SIZES}
    was_larger = any(recorded.get(name) for name in SIZES)
    asked = recorded if was_larger else {**recorded, "hires_strength": None}
    asked = {**asked, **wanted, **sizes, "num_images": 1}
    prompts = [wanted.get(name) or "" for name in ("hires_prompt", "hires_negative_prompt")]
    named = [each.name for each in services.registry.embedding_index.fitting(None).used(prompts)]
    asked["embeddings"] = [*recorded["embeddings"], *named]
    if not any(sizes.values()):
        model = services.registry.checkpoint_called(asked.get("hires_model") or asked["base_model"])
        asked["hires_scale"] = model.defaults.hires_scale
        if model.defaults.hires_scale != DEFAULT_HIRES_SCALE:
            notes = [*notes, SCALE_OF.format(model.defaults.hires_scale, model.name)]
    return asked, notes


@endpoint(waits=True)
async def hires(
    services: Services,
    image: gr.FileData | str,
    hires_scale: float | None = None,
    hires_width: int | None = None,
    hires_height: int | None = None,
    hires_upscaler: str | None = None,
    hires_strength: float | None = None,
    hires_steps: int | None = None,
    hires_cfg: float | None = None,
    hires_sampler: str | None = None,
    hires_schedule: str | None = None,
    hires_model: str | None = None,
    hires_prompt: str = "",
    hires_negative_prompt: str = "",
    wait_for_result: bool = True,
    request: gr.Request | None = None,
) -> Result:
    """Draw a picture of the studio again with a hires pass, in a new run.

    image: the id of a gallery picture, or a file, that records its whole request. The result is bit-identical
    to the one of /generate with that request and these settings. Without a scale or a size, and without a
    strength, those that the checkpoint recommends are taken.
    Returns what /generate returns."""
    asked = {name: value for name, value in locals().items() if name.startswith("hires_")}
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    wanted, notes = await asyncio.to_thread(with_hires_pass, services, picture, asked)
    job = await submit(services, "generate", wanted, owner_of(request), wait_for_result)
    return finished(services, job, notes)
