"""Serializes jobs, runs, checkpoints and LoRAs to dicts for the page and the API.

The page renders them with textContent, never as markup, so they contain plain text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..errors import RequestError
from ..gallery import metadata
from ..gallery.outputs import RunInfo
from ..gallery.trash import TrashEntry
from ..jobs.handlers import handler_of
from ..jobs.handlers.generate import LOADING
from ..jobs.handlers.redraw import DRAWN_BY
from ..jobs.job import Job, index_of
from ..models.catalog.registry import Checkpoint, Lora
from ..models.prompt_resolver import is_information
from ..models.upscalers import LANCZOS
from ..request import SETTINGS, GenerationRequest, applicability
from ..request.applicability import SecondPass
from ..request.samplers import joined_of
from ..services import Services
from .answers import (
    CheckpointAnswer,
    DeletionAnswer,
    ImageAnswer,
    JobAnswer,
    LiveAnswer,
    LoraAnswer,
    QueueAnswer,
    RunAnswer,
    UpscalerAnswer,
)
from .status_line import status_line

RECENT = 20
"""Number of ended jobs that the queue lists."""
MAX_RUNS = 200
"""Limit of runs in one answer of /gallery."""


def job_view(services: Services, job: Job) -> JobAnswer:
    """A job for the page and the API. Times are in seconds since 1970."""
    request = job.request
    fields = request.model_dump(mode="json")
    seeds: list[int | None] = []
    if isinstance(request, GenerationRequest):
        indexes = [index_of(image) for image in job.images]
        seeds = [None if index is None else request.seed_of(index) for index in indexes]
    return {
        "job_id": job.id,
        "kind": job.kind,
        "mode": request.mode if isinstance(request, GenerationRequest) else None,
        "title": title(job),
        "result": job.result,
        "status": job.state,
        "headline": status_line(job),
        "position": job.position,
        "step": job.step,
        "total": job.total,
        "image_index": job.image_index,
        "progress": job.progress,
        "preview": job.preview,
        "cancelling": job.cancel_requested,
        "cancel_after_image": job.cancel_after_image,
        "can_suspend": job.state == "running" and handler_of(job.kind).can_be_suspended,
        "suspending": job.suspending,
        "can_continue": job.can_continue,
        "continues_at": asdict(job.continues_at) if job.continues_at else None,
        "seconds_left": job.seconds_left,
        "seconds_per_step": job.seconds_per_step,
        "retry_of": job.retry_of,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "suspended": job.suspended,
        "continued": job.continued,
        "run": job.run,
        "images": list(job.images),
        "seeds": seeds,
        "warnings": list(job.warnings),
        "information": [text for text in job.warnings if is_information(text)],
        "error": job.error,
        "owner": job.owner,
        "waited": job.waited(time.time()) if job.state != "queued" else None,
        "request": with_scheduler(fields),
        "told": _told(services, fields),
    }


def _told(services: Services, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a job's request that had an effect; those by which tiles are drawn like the others."""
    own = {name: value for name, value in fields.items() if name != "drawing"}
    drawing = fields.get("drawing") or {}
    drawn = {name: value for name, value in effective_settings(drawing).items() if name in DRAWN_BY}
    return effective_settings(own, second_pass_of(services, own)) | drawn


def title(job: Job) -> str:
    """One-line description of the job: the prompt, or the operation and its image."""
    return handler_of(job.kind).title(job.request)


def effective_settings(request: Mapping[str, Any], kind: SecondPass | None = None) -> dict[str, Any]:
    """The settings that had an effect on the image, for display: empty and unused ones are omitted.

    `kind`: what the second pass did, if known.
    """
    unused = applicability.without_effect(request, kind)
    return {
        name: value
        for name, value in request.items()
        if name not in unused and value not in (None, "", [], ()) and not _is_unlisted_default(name, value)
    }


def _is_unlisted_default(name: str, value: Any) -> bool:
    """Whether the setting is at its default and declares that lists then omit it."""
    setting = SETTINGS.get(name)
    return setting is not None and not setting.listed_at_default and value == setting.default


def second_pass_of(services: Services, request: Mapping[str, Any]) -> SecondPass | None:
    """What the second pass of a request does with the model currently installed under its name."""
    model = request.get("second_pass_model")
    if not model:
        return None
    arch = next((each.arch for each in services.registry.checkpoints() if each.name == model), None)
    return applicability.second_pass(request, arch)


def queue_view(services: Services) -> QueueAnswer:
    """The answer of /queue, which every page renders too."""
    store = services.store
    running = store.running()
    queued = store.queued()
    waiting = [job_view(services, job) for job in queued]
    if store.paused:
        for view in waiting:
            view["headline"] += "; the queue is paused"
    elif waiting and running is None and services.worker.is_loading:
        waiting[0]["headline"] = LOADING
    return {
        "active_job_id": running.id if running else None,
        "queued_count": len(queued),
        "paused": store.paused,
        "pause_reason": store.pause_reason,
        "counts": store.counts(),
        "jobs": [job_view(services, job) for job in ([running] if running else [])] + waiting,
        "suspended": [job_view(services, job) for job in store.suspended()],
        "recent": [job_view(services, job) for job in store.recent(RECENT)],
        "problem": services.housekeeping.stall_watchdog.problem or store.problem,
        "time": time.time(),
    }


def live_view(services: Services) -> LiveAnswer:
    """What changes at every step: small, since it is sent several times a second."""
    running = services.store.running()
    if running is None:
        return {}
    return {
        "job_id": running.id,
        "headline": status_line(running),
        "progress": running.progress,
        "preview": running.preview,
        "images": list(running.images),
        "cancelling": running.cancel_requested,
        "cancel_after_image": running.cancel_after_image,
        "suspending": running.suspending,
        "device": services.device(),
    }


def checkpoint_view(checkpoint: Checkpoint) -> CheckpointAnswer:
    return {
        "name": checkpoint.name,
        "origin": checkpoint.origin,
        "arch": checkpoint.arch,
        "lora_arch": checkpoint.lora_arch,
        "context": checkpoint.context,
        "layout": checkpoint.layout,
        "prediction_type": checkpoint.prediction_type,
        "native_size": checkpoint.native_size,
        "size_bytes": checkpoint.file_bytes,
        "notes": list(checkpoint.notes),
        "dress": list(checkpoint.dress),
        "has_vae": checkpoint.has_vae,
        "draws": checkpoint.vocabulary.note if checkpoint.vocabulary else "",
        "usable": checkpoint.unusable is None,
        "reason": checkpoint.unusable,
        "modified": checkpoint.modified,
        "hash": checkpoint.hash,
        "zero_snr": checkpoint.zero_snr,
        "from_hub": checkpoint.from_hub,
        "converted_from": checkpoint.converted_from,
        "largest": checkpoint.largest,
        "largest_redrawn": checkpoint.largest_redrawn,
        "distilled": asdict(checkpoint.distilled) if checkpoint.distilled else None,
        "defaults": asdict(checkpoint.defaults),
        "suggested": asdict(checkpoint.suggested or checkpoint.defaults),
    }


def lora_view(lora: Lora, compatible: bool | None) -> LoraAnswer:
    return {
        "name": lora.name,
        "origin": lora.origin,
        "description": lora.description,
        "weight": lora.weight,
        "trigger": lora.trigger,
        "arch": lora.arch,
        "context": lora.context,
        "kind": lora.kind,
        "size_bytes": lora.size_bytes,
        "modified": lora.modified,
        "tags": list(lora.tags),
        "favourite": lora.favourite,
        "preview": preview_token(lora),
        "base": lora.base,
        "notes": lora.notes,
        "hash": lora.hash,
        "from_hub": lora.from_hub,
        "distilled": asdict(lora.distilled) if lora.distilled else None,
        "compatible": compatible,
        "reason": lora.unusable,
    }


def preview_token(lora: Lora) -> str | None:
    """A value that changes with the LoRA's own preview image; None if it has none."""
    if lora.chosen_preview:
        return lora.chosen_preview
    if lora.preview:
        return lora.preview[1]
    return lora.stamp if lora.thumbnail else None


def upscalers_view(services: Services) -> list[UpscalerAnswer]:
    """The upscaling models, with the reason if one cannot be used, then Lanczos, which is always there."""
    models = [(each.name, each.origin, each.unusable) for each in services.registry.upscalers()]
    return [
        {"name": name, "origin": origin, "reason": reason}
        for name, origin, reason in (*models, (LANCZOS, "", None))
    ]


def loras_view(services: Services, base_model: str | None) -> list[LoraAnswer]:
    """All LoRAs; given a checkpoint's name, whether each is compatible with it. Raises `NotFoundError`."""
    compatible = {lora.name for lora in services.registry.loras(base_model)} if base_model else None
    return [
        lora_view(lora, None if compatible is None else lora.name in compatible)
        for lora in services.registry.loras()
    ]


def gallery_view(
    services: Services, start: Any, limit: Any, query: Any, after: Any = 0.0, order: Any = "newest"
) -> list[RunAnswer]:
    """A page of runs in an order of `gallery.index.sort.ORDERS`, created after `after` (seconds since 1970).

    Raises `RequestError` for invalid arguments.
    """
    if isinstance(after, bool) or not isinstance(after, (int, float)) or after != after:
        raise RequestError("after must be a time in seconds since 1970.")
    check_span(start, limit, MAX_RUNS)
    if not isinstance(query, str) or len(query) > 400:
        raise RequestError("query must be a text of at most 400 characters.")
    if after > 0 and order != "newest":
        raise RequestError("after requires the order newest; with another order, put date:>=... into query.")
    found = services.outputs.runs(start, limit, query, order)
    return [run_view(run) for run in found if run.created > after]


def trash_view(entry: TrashEntry) -> DeletionAnswer:
    """A deletion, with the id that restores it."""
    return {"id": entry.id, "deleted": entry.deleted, "images": list(entry.images)}


def run_view(run: RunInfo) -> RunAnswer:
    """A run for the page and the API."""
    return {
        "run": run.id,
        "created": run.created,
        "problem": run.problem,
        "images": [
            {
                "id": image.id,
                "seed": image.seed,
                "size_bytes": image.size_bytes,
                "modified": image.modified,
                "variants": list(image.variants),
            }
            for image in run.images
        ],
        "meta": dict(run.meta),
    }


def image_view(services: Services, image_id: str) -> ImageAnswer:
    """The metadata of an image. Raises `NotFoundError`, `StorageError`."""
    found = metadata.read(services.outputs.resolve(image_id))
    return {
        "id": image_id,
        **found,
        "request": with_scheduler(found["request"]) if found["request"] else None,
        "told": effective_settings_of_picture(services, found),
    }


def with_scheduler(request: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request with `scheduler` added, the joined name that older clients expect."""
    return {**request, "scheduler": joined_of(request)} if "sampler" in request else dict(request)


def effective_settings_of_picture(services: Services, found: metadata.TextMetadata) -> dict[str, Any] | None:
    """As `effective_settings`, for the metadata of a picture; None if it is not one of the studio."""
    request, chunk = found["request"], found["webbduck"]
    if not request or chunk is None:
        return None
    facts = chunk.get("facts")
    kind = facts.get("second_pass") if isinstance(facts, dict) else None
    known: SecondPass | None = kind if kind in ("refiner", "img2img") else second_pass_of(services, request)
    return effective_settings(found["settings"], known)


def check_span(start: Any, limit: Any, most: int) -> None:
    """Raises `RequestError` unless both are whole numbers for a page of at most `most` entries."""
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in (start, limit))
    if not whole or not 0 <= start <= 10**9 or not 1 <= limit <= most:
        raise RequestError(f"start must be 0 or more, and limit a whole number from 1 to {most}.")
