"""The endpoints about what there is: models, pictures, words. They answer at once."""

from __future__ import annotations

from typing import Any, Literal

import gradio as gr

from ..errors import RequestError
from ..models import tokens
from ..models.captioners import STYLES
from ..models.prompt_resolver import without_tags
from ..models.upscalers import LANCZOS
from ..request import MAX_PROMPT, SCHEDULERS
from ..request.samplers import SAMPLERS, SCHEDULES, schedules_of
from ..services import Services
from . import gallery_serializers, serializers
from .gradio_helpers import QUICK_ENDPOINT, errors_as_gr_error, file_data

PROMPTS = ("prompt", "prompt_2", "negative_prompt")


def check_name(field: str, value: object) -> None:
    """Raises `RequestError` where a name is no text."""
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{field} must be a name.")


def register(services: Services) -> None:
    """Put the endpoints into the Blocks that is being built."""
    registry = services.registry

    @errors_as_gr_error
    def models() -> list[dict[str, Any]]:
        """The checkpoints: name, architecture, defaults, and why one cannot be used."""
        return [serializers.checkpoint_view(checkpoint) for checkpoint in registry.checkpoints()]

    @errors_as_gr_error
    def second_pass_models() -> list[str]:
        """Checkpoints that can go over another one's picture: refiners, and any SDXL checkpoint."""
        return [checkpoint.name for checkpoint in registry.second_pass_models()]

    @errors_as_gr_error
    def schedulers() -> list[str]:
        """Samplers and their schedules in one name each, as `scheduler` takes them."""
        return list(SCHEDULERS)

    @errors_as_gr_error
    def samplers() -> list[dict[str, Any]]:
        """The samplers: `name`, the `schedules` that it can be drawn on, which of them `automatic` is (null:
        timesteps of its own)."""
        return [
            {"name": each.name, "schedules": list(schedules_of(each)), "automatic": each.automatic}
            for each in SAMPLERS
        ]

    @errors_as_gr_error
    def schedules() -> list[str]:
        """Names of the schedules."""
        return [each.name for each in SCHEDULES]

    @errors_as_gr_error
    def upscalers() -> list[dict[str, Any]]:
        """The upscaling models and why one cannot be used, then "Lanczos", which is always there."""
        found = [{"name": each.name, "reason": each.unusable} for each in registry.upscalers()]
        return [*found, {"name": LANCZOS, "reason": None}]

    @errors_as_gr_error
    def captioners() -> list[dict[str, Any]]:
        """The captioners, and why one cannot be used."""
        return [
            {"name": each.name, "kind": each.kind, "reason": each.unusable} for each in registry.captioners()
        ]

    @errors_as_gr_error
    def caption_styles() -> list[str]:
        """How a captioner may be asked to write."""
        return list(STYLES)

    @errors_as_gr_error
    def loras(base_model: str | None = None) -> list[dict[str, Any]]:
        """The LoRAs; `compatible` tells whether each fits `base_model`."""
        check_name("base_model", base_model)
        return serializers.loras_view(services, base_model)

    @errors_as_gr_error
    def vaes() -> list[dict[str, Any]]:
        """VAEs of their own in checkpoint/vae, and why one is not sound."""
        return [
            {"name": each.name, "size_bytes": each.size_bytes, "reason": each.unusable}
            for each in registry.vaes()
        ]

    @errors_as_gr_error
    def wildcards() -> list[dict[str, Any]]:
        """The lists in wildcards/: name and number of lines."""
        return [
            {"name": each.name, "lines": each.lines, "reason": each.unusable} for each in registry.wildcards()
        ]

    @errors_as_gr_error
    def tokenize(
        text: str,
        base_model: str | None = None,
        which: Literal["prompt", "prompt_2", "negative_prompt"] = "prompt",
    ) -> dict[str, Any]:
        """Tokens of a prompt: {tokens, limit (of one chunk), over (more than one chunk), chunks}."""
        if not isinstance(text, str) or len(text) > MAX_PROMPT:
            raise RequestError(f"text must be text of at most {MAX_PROMPT:,} characters.")
        if which not in PROMPTS:
            raise RequestError(f"which must be one of: {', '.join(PROMPTS)}.")
        check_name("base_model", base_model)
        if base_model is not None:
            registry.checkpoint_called(base_model)
        # Every SDXL checkpoint has CLIP's one vocabulary, in both of its encoders.
        return dict(tokens.count(without_tags(text)))

    @errors_as_gr_error
    def free_memory() -> dict[str, Any]:
        """Let go of the models in memory; the next job loads what it needs. Refused while a job runs.
        Answers `freed` (names of the checkpoints that were there) and the device as /health does."""
        return services.free_memory()

    @errors_as_gr_error
    def gallery(
        start: int = 0,
        limit: int = 50,
        after: float = 0.0,
        query: str = "",
        order: Literal["newest", "oldest", "picture_size", "file_size", "prompt", "checkpoint"] = "newest",
    ) -> list[dict[str, Any]]:
        """Runs with their images and settings, in this order; only those made after the time `after`."""
        return serializers.gallery_view(services, start, limit, query, after, order)

    @errors_as_gr_error
    def image(image_id: str) -> tuple[gr.FileData, dict[str, Any]]:
        """A finished picture and its metadata."""
        return file_data(services.outputs.resolve(image_id)), serializers.image_view(services, image_id)

    @errors_as_gr_error
    def delete_image(image_id: str) -> dict[str, Any]:
        """Move a picture to the trash; /restore with the answer's `id` brings it back."""
        services.outputs.resolve(image_id)  # before it is compared with anything: it may be no text
        gallery_serializers.refuse_needed(services, [image_id])
        return serializers.trash_view(services.trash.delete_image(image_id))

    @errors_as_gr_error
    def delete_run(run: str) -> dict[str, Any]:
        """Move all pictures of a run to the trash."""
        gallery_serializers.refuse_needed(services, services.outputs.images_of(run))
        return serializers.trash_view(services.trash.delete_run(run))

    @errors_as_gr_error
    def restore(entry_id: str) -> dict[str, Any]:
        """Bring back what a deletion moved to the trash."""
        return {"id": entry_id, "images": list(services.trash.restore(entry_id))}

    for endpoint in (
        models,
        second_pass_models,
        schedulers,
        samplers,
        schedules,
        upscalers,
        captioners,
        caption_styles,
        loras,
        vaes,
        wildcards,
        tokenize,
        free_memory,
        gallery,
        image,
        delete_image,
        delete_run,
        restore,
    ):
        gr.api(endpoint, api_name=endpoint.__name__, **QUICK_ENDPOINT)
