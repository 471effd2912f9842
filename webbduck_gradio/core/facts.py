"""What an image's metadata say of how it was drawn, beside its request."""

from __future__ import annotations

from typing import Any

from ..models.dynamic_prompts import draw_facts
from ..models.embeddings import contents
from ..request.samplers import resolved_schedule, sampler_named
from . import devices
from .checkpoint_cache import CheckpointCache
from .one_image import PreparedJob
from .origin import versions
from .sampling.levels import schedule_in_use


def facts_of(plan: PreparedJob, pipelines: CheckpointCache, threads: int, count: int) -> dict[str, Any]:
    """Device, precision, versions, resolved prompt, LoRAs, embeddings. `count`: of images that were drawn
    together."""
    loaded = plan.first.loaded
    facts: dict[str, Any] = {
        "device": str(loaded.device),
        "dtype": loaded.dtype,
        "threads": threads,
        "versions": versions(),
    }
    card, request = pipelines.card, plan.request
    if card.kind in ("cuda", "rocm", "xpu"):
        facts["gpu"] = card.name
    if libraries := devices.libraries(pipelines.device):
        facts["libraries"] = libraries
    last = (plan.last or plan.first).loaded.decoding
    if last is not None and devices.name_of(last.current) != loaded.dtype:
        facts["vae_dtype"] = devices.name_of(last.current)
    asked = resolved_schedule(sampler_named(request.sampler), request.schedule)
    in_use = schedule_in_use(request, loaded.scheduler, request.steps)
    if asked and in_use != asked:
        facts["schedule"] = in_use
    if plan.wording.prompt != plan.request.prompt:
        facts["resolved_prompt"] = plan.wording.prompt
    facts |= draw_facts(plan.request, *(each.drawn for each in plan.wordings))
    if plan.wording.uses:
        facts["loras"] = [use.settings for use in plan.wording.uses]
    if plan.embeddings:
        facts["embedding_hashes"] = {
            each.name: contents(each.path, each.stamp).hash for each in plan.embeddings
        }
    if plan.second is not None:
        facts["second_pass"] = "refiner" if plan.continues else "img2img"
    if count > 1:
        facts["drawn_together"] = count
    return facts | pipelines.facts()
