"""The endpoints about models and the words of prompts. They answer at once."""

from __future__ import annotations

from typing import Any, Literal

from ..errors import RequestError
from ..models import tokens
from ..models.captioners import STYLES
from ..models.prompt_resolver import without_tags
from ..models.upscalers import LANCZOS
from ..request import MAX_PROMPT, SCHEDULERS
from ..request.samplers import SAMPLERS, SCHEDULES, schedules_of
from ..services import Services
from . import serializers
from .endpoints import endpoint

PROMPTS = ("prompt", "prompt_2", "negative_prompt")


def check_name(field: str, value: object) -> None:
    """Raises `RequestError` where a name is no text."""
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{field} must be a name.")


@endpoint()
def models(services: Services) -> list[dict[str, Any]]:
    """The checkpoints: name, architecture, defaults, and why one cannot be used."""
    return [serializers.checkpoint_view(checkpoint) for checkpoint in services.registry.checkpoints()]


@endpoint()
def second_pass_models(services: Services) -> list[str]:
    """Checkpoints that can go over another one's picture: refiners, and any SDXL checkpoint."""
    return [checkpoint.name for checkpoint in services.registry.second_pass_models()]


@endpoint()
def schedulers(services: Services) -> list[str]:
    """Samplers and their schedules in one name each, as `scheduler` takes them."""
    return list(SCHEDULERS)


@endpoint()
def samplers(services: Services) -> list[dict[str, Any]]:
    """The samplers: `name`, the `schedules` that it can be drawn on, which of them `automatic` is (null:
    timesteps of its own)."""
    return [
        {"name": each.name, "schedules": list(schedules_of(each)), "automatic": each.automatic}
        for each in SAMPLERS
    ]


@endpoint()
def schedules(services: Services) -> list[str]:
    """Names of the schedules."""
    return [each.name for each in SCHEDULES]


@endpoint()
def upscalers(services: Services) -> list[dict[str, Any]]:
    """The upscaling models and why one cannot be used, then "Lanczos", which is always there."""
    found = [{"name": each.name, "reason": each.unusable} for each in services.registry.upscalers()]
    return [*found, {"name": LANCZOS, "reason": None}]


@endpoint()
def captioners(services: Services) -> list[dict[str, Any]]:
    """The captioners, and why one cannot be used."""
    return [
        {"name": each.name, "kind": each.kind, "reason": each.unusable}
        for each in services.registry.captioners()
    ]


@endpoint()
def caption_styles(services: Services) -> list[str]:
    """How a captioner may be asked to write."""
    return list(STYLES)


@endpoint()
def loras(services: Services, base_model: str | None = None) -> list[dict[str, Any]]:
    """The LoRAs; `compatible` tells whether each fits `base_model`."""
    check_name("base_model", base_model)
    return serializers.loras_view(services, base_model)


@endpoint()
def vaes(services: Services) -> list[dict[str, Any]]:
    """VAEs of their own in checkpoint/vae, and why one is not sound."""
    return [
        {"name": each.name, "size_bytes": each.size_bytes, "reason": each.unusable}
        for each in services.registry.vaes()
    ]


@endpoint()
def wildcards(services: Services) -> list[dict[str, Any]]:
    """The lists in wildcards/: name and number of lines."""
    return [
        {"name": each.name, "lines": each.lines, "reason": each.unusable}
        for each in services.registry.wildcards()
    ]


@endpoint()
def tokenize(
    services: Services,
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
        services.registry.checkpoint_called(base_model)
    # Every SDXL checkpoint has CLIP's one vocabulary, in both of its encoders.
    return dict(tokens.count(without_tags(text)))


@endpoint()
def free_memory(services: Services) -> dict[str, Any]:
    """Let go of the models in memory; the next job loads what it needs. Refused while a job runs.
    Answers `freed` (names of the checkpoints that were there) and the device as /health does."""
    return services.free_memory()
