"""Jobs that work on a picture that is there: making it larger, putting it into words.

The picture is named by an id that we gave out: of the gallery ("RUN/0.png") or of a stored input picture.
Asked here before they are queued, done here when their turn comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import RequestError
from ...gallery.input_images import FILE_ID
from ...models.tools import LANCZOS, MAX_UPSCALED_PIXELS, STYLES
from ...request import CaptionRequest, UpscaleRequest
from ...storage.images import look
from ..job import Job

if TYPE_CHECKING:
    from ...core.progress import ProgressReporter
    from ...gallery.outputs import Outputs
    from ...models.catalog.registry import Registry
    from ..worker import Worker

log = logging.getLogger(__name__)

PICTURE = "The picture"
LEAST_DESCRIBED = 4
"""Shortest side in pixels of a picture that is described; models take 1 and 3 for a number of channels."""


# ---- asking


def settle_upscale(
    registry: Registry, outputs: Outputs, asked: Mapping[str, Any]
) -> tuple[UpscaleRequest, tuple[str, ...]]:
    """The request with the upscaler that will run in its `upscaler`, and warnings.

    Asked: `image`, `scale` (2 or 4), `upscaler` (a name, "Lanczos", None = the first model that is there).
    Raises `RequestError` (`NotFoundError`) or `ModelError` for what cannot be done.
    """
    request = UpscaleRequest.validated(**{key: value for key, value in asked.items() if value is not None})
    seen = look(picture_path(registry, outputs, request.image), PICTURE)
    width, height = (side * request.scale for side in seen.size)
    if width * height > MAX_UPSCALED_PIXELS:
        raise RequestError(
            f"{width} x {height} pixels are more than {MAX_UPSCALED_PIXELS / 1e6:.0f} megapixels; "
            "choose a smaller scale or picture."
        )
    said = seen.notes(PICTURE)
    model = None if request.upscaler == LANCZOS else registry.upscaler(request.upscaler)
    if model is None and request.upscaler != LANCZOS:
        said.append("No usable upscaling model is in checkpoint/upscale; Lanczos is used.")
    return request.model_copy(update={"upscaler": model.name if model else LANCZOS}), tuple(said)


def settle_caption(
    registry: Registry, outputs: Outputs, asked: Mapping[str, Any]
) -> tuple[CaptionRequest, tuple[str, ...]]:
    """The request with the captioner that will run in its `captioner`, and warnings.

    Asked: `image`, `style` (one of `models.tools.STYLES`), `captioner` (None = the first usable one),
    `max_tokens` (1 to 1000). Raises `RequestError` (`NotFoundError`) or `ModelError`.
    """
    request = CaptionRequest.validated(**{key: value for key, value in asked.items() if value is not None})
    if request.style not in STYLES:
        raise RequestError(f"style must be one of: {', '.join(STYLES)}.")
    captioner = registry.captioner(request.captioner)
    seen = look(picture_path(registry, outputs, request.image), PICTURE)
    if min(seen.size) < LEAST_DESCRIBED:
        raise RequestError(
            f"The picture is {seen.size[0]} x {seen.size[1]} pixels; at least {LEAST_DESCRIBED} in each "
            "direction are needed to describe it."
        )
    said = seen.notes(PICTURE)
    if seen.transparent:
        said.append(f"{PICTURE} has transparent parts; {captioner.name} sees them as white.")
    return request.model_copy(update={"captioner": captioner.name}), tuple(said)


def picture_path(registry: Registry, outputs: Outputs, image: str) -> Path:
    """The file that an id stands for. Raises `NotFoundError` where there is none."""
    return registry.input_path(image) if FILE_ID.fullmatch(image) else outputs.resolve(image)


# ---- doing


def upscale(worker: Worker, job: Job, reporter: ProgressReporter) -> None:
    """The copy goes beside its original as N_upscaled.png; that of an input picture into a run of its own."""
    from ...core.image_ops import read_with_alpha

    request = job.request
    assert isinstance(request, UpscaleRequest)
    path = picture_path(worker.registry, worker.outputs, request.image)
    model = None if request.upscaler == LANCZOS else worker.registry.upscaler(request.upscaler)
    reporter.check()
    picture = worker.generator.upscale(read_with_alpha(path), request, model, reporter)
    reporter.check()
    for warning in picture.warnings:
        worker.store.add_warnings(job.id, warning)
    save: Callable[..., str] = worker.outputs.save_upscaled
    if FILE_ID.fullmatch(request.image):
        # Before the picture is saved: after a kill the job then still knows where to look.
        started = partial(worker.store.run_started, job.id)
        save = partial(worker.outputs.save_upscaled_input, started=started)
    image_id = save(
        request.image,
        picture.image,
        request.scale,
        picture.facts["upscaler"],
        (*job.warnings, *picture.warnings),
        {key: value for key, value in picture.facts.items() if key not in ("upscaler", "scale")},
        job_id=job.id,
    )
    worker.store.image_done(job.id, image_id)


def caption(worker: Worker, job: Job, reporter: ProgressReporter) -> None:
    """The words become the job's result: {caption, style, captioner}."""
    from ...core.image_ops import read

    request = job.request
    assert isinstance(request, CaptionRequest)
    captioner = worker.registry.captioner(request.captioner)
    image = read(picture_path(worker.registry, worker.outputs, request.image))
    reporter.check()
    text, warnings = worker.generator.caption(image, request, captioner, reporter)
    for warning in warnings:
        worker.store.add_warnings(job.id, warning)
    worker.store.set_result(
        job.id, {"caption": text, "style": request.style, "captioner": captioner.name, "image": request.image}
    )


WORK: dict[str, Callable[[Worker, Job, ProgressReporter], None]] = {"upscale": upscale, "caption": caption}
"""How each kind of job is done that draws nothing new."""
