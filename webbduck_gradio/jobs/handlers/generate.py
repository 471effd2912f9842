"""Jobs that generate images; a "test" job generates a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...models import admission
from ...models.advice import advice
from ...models.outpaint_size import with_size
from ...models.recorded_embeddings import with_embeddings
from ...request import GenerationRequest, JobRequest
from ..context import JobContext
from ..job import Job
from .base import JobHandler, RunningJob

LOADING = "Loading the model; the first picture takes longer"
"""What is said while the core itself, and the first checkpoint with it, is being loaded."""


class GenerateHandler(JobHandler):
    request_type = GenerationRequest
    can_be_suspended = True

    def prepare(
        self, context: JobContext, asked: Mapping[str, Any]
    ) -> tuple[GenerationRequest, Sequence[str]]:
        """`asked`: fields of `GenerationRequest`; None or missing = the checkpoint's default."""
        request = admission.build_request(context.registry, with_size(asked, context.inputs))
        warnings = admission.validate_request(context.registry, request, context.inputs)
        warnings += [each for each in advice(context.registry, request) if each not in warnings]
        request = with_embeddings(context.registry, request)
        # Given by id, they may have been stored by a studio with another output folder.
        context.inputs.owners.mark(*(each for each in (request.image, request.mask) if each))
        return request, warnings

    def run(self, context: JobContext, running: RunningJob) -> None:
        request = running.job.generation_request
        checkpoint = context.registry.usable_checkpoint(request.base_model)
        running.check()
        running.status("Preparing" if context.has_generator else LOADING)
        for picture in context.generator.generate(request, checkpoint, running, running.continuation):
            running.warn(picture.warnings)
            loras = [lora["name"] for lora in picture.facts.get("loras", ())]
            source = context.inputs.names.of(request.image) if request.image else None
            facts = {**context.registry.known_hashes(request.base_model, loras, request.vae), **picture.facts}
            facts |= {"source_name": source} if source else {}
            warnings = tuple(dict.fromkeys((*running.job.warnings, *picture.warnings)))
            running.save(picture.index, picture.image, picture.seed, warnings, facts, picture.stages)
            if picture.index + 1 < request.num_images:
                running.check_between_images()

    def title(self, request: JobRequest) -> str:
        return request.prompt if isinstance(request, GenerationRequest) else ""

    def obstacle(self, context: JobContext, request: JobRequest) -> str | None:
        assert isinstance(request, GenerationRequest)
        return admission.obstacle(context.registry, request)

    def log_details(self, job: Job) -> list[str]:
        request = job.generation_request
        size = f"{request.width} x {request.height}, {request.steps} steps"
        return [f"{len(job.images)} of {job.images_asked} images, {request.base_model}, {size}"]
