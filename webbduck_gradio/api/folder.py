"""/generate_folder: img2img of many pictures with the same settings, a job for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import QueueFullError, RequestError
from ..gallery import made_from
from ..jobs.handlers import HANDLERS
from ..request import GenerationRequest
from ..request.picture_fields import random_if_none
from ..services import Services
from .answers import FolderAnswer
from .client_files import named_input
from .endpoints import endpoint
from .job_results import owner_of

MAX_IMAGES = 500
"""Pictures in one call."""


@dataclass(frozen=True)
class Source:
    """An input picture. `id`: of the stored file; `name`: where it came from."""

    id: str
    name: str


def existing(
    services: Services, sources: Sequence[Source], asked: Mapping[str, Any]
) -> tuple[dict[Source, GenerationRequest], dict[Source, str]]:
    """The request of each source, and for those whose result is there already its id. `asked`: as
    `Services.submit` takes it, without an image.

    Raises `RequestError` with the source's name, `NotFoundError`, `ModelError`.
    """
    requests: dict[Source, GenerationRequest] = {}
    for source in sources:
        try:
            request, _ = HANDLERS["generate"].prepare(
                services.worker.context, {**asked, "image": source.id, "mask": None}
            )
        except RequestError as error:
            raise RequestError(f"{source.name}: {error}", field=getattr(error, "field", None)) from None
        assert isinstance(request, GenerationRequest)
        requests[source] = request
    there = made_from.results(services.outputs.root, requests.values())
    return requests, {source: there[each] for source, each in requests.items() if each in there}


@endpoint()
def generate_folder(
    services: Services,
    images: list[gr.FileData],
    settings: dict[str, Any],
    skip_existing: bool = True,
    request: gr.Request | None = None,
) -> FolderAnswer:
    """Make a picture from each of many: img2img with the same settings, one job per picture.

    images: files, or ids of gallery pictures; folders of the server cannot be named. settings: parameters of
    /generate except image and mask. Nothing is queued if a picture or a setting is refused, or if the queue
    has fewer free places than there are pictures to draw. skip_existing: leave out pictures of which a result
    with exactly these settings is in the gallery, which needs a fixed seed. Returns immediately: {seed, jobs:
    [{image, name, job_id, warnings}], skipped: [{image, name, existing}]}."""
    if not isinstance(images, list) or not 1 <= len(images) <= MAX_IMAGES:
        raise RequestError(f"images must be a list of 1 to {MAX_IMAGES} pictures.")
    if not isinstance(settings, dict) or {"image", "mask"} & settings.keys():
        raise RequestError("settings must be an object with the parameters of /generate but image and mask.")
    if not isinstance(skip_existing, bool):
        raise RequestError("skip_existing must be true or false.")
    asked = {**settings, "seed": random_if_none(settings.get("seed"))}
    sources = list(dict.fromkeys(Source(*named_input(services, each)) for each in images))
    requests, there = existing(services, sources, asked)
    wanted = [each for each in sources if not (skip_existing and each in there)]
    free = services.store.max_queued - len(services.store.queued())
    if len(wanted) > free:
        raise QueueFullError(
            f"{len(wanted)} pictures are to be drawn, but the queue has {max(free, 0)} free places; send "
            "fewer at a time, or wait until there are more."
        )
    jobs = []
    for each in wanted:
        job = services.submit(requests[each].model_dump(), "generate", owner_of(request))
        jobs.append({"image": each.id, "name": each.name, "job_id": job.id, "warnings": list(job.warnings)})
    return {
        "seed": asked["seed"],
        "jobs": jobs,
        "skipped": [
            {"image": each.id, "name": each.name, "existing": there[each]}
            for each in sources
            if each not in wanted
        ],
    }
