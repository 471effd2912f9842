"""The endpoints about models and prompt tokens. They return immediately."""

from __future__ import annotations

from typing import Any, Literal

from ..errors import RequestError
from ..models import tokens
from ..models.captioners import STYLES
from ..models.prompt_resolver import without_tags
from ..models.styles import finished, recorded
from ..request import MAX_PROMPT, SCHEDULERS, GenerationRequest
from ..request.samplers import SAMPLERS, SCHEDULES, schedules_of
from ..services import DeviceSettings, FreedMemory, Services
from . import serializers
from .answers import (
    CaptionerAnswer,
    CheckpointAnswer,
    LoraAnswer,
    SamplerAnswer,
    UpscalerAnswer,
    VaeAnswer,
    WildcardAnswer,
)
from .endpoints import endpoint

PROMPTS = ("prompt", "prompt_2", "negative_prompt")


def check_name(field: str, value: object) -> None:
    """Raises `RequestError` if a name is not a text."""
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{field} must be a name.")


@endpoint()
def models(services: Services) -> list[CheckpointAnswer]:
    """The checkpoints: name, architecture, defaults, and the reason if one cannot be used."""
    return [serializers.checkpoint_view(checkpoint) for checkpoint in services.registry.checkpoints()]


@endpoint()
def second_pass_models(services: Services) -> list[str]:
    """Checkpoints that can run a second pass: refiners, and any SDXL checkpoint."""
    return [checkpoint.name for checkpoint in services.registry.second_pass_models()]


@endpoint()
def schedulers(services: Services) -> list[str]:
    """All combinations of sampler and schedule as one name each, for `scheduler`."""
    return list(SCHEDULERS)


@endpoint()
def samplers(services: Services) -> list[SamplerAnswer]:
    """The samplers: `name`, the supported `schedules`, and the one that `automatic` selects (null: the
    sampler's own timesteps)."""
    return [
        {"name": each.name, "schedules": list(schedules_of(each)), "automatic": each.automatic}
        for each in SAMPLERS
    ]


@endpoint()
def schedules(services: Services) -> list[str]:
    """Names of the schedules."""
    return [each.name for each in SCHEDULES]


@endpoint()
def upscalers(services: Services) -> list[UpscalerAnswer]:
    """The upscaling models, with the reason if one cannot be used, then "Lanczos", which is always
    available."""
    return serializers.upscalers_view(services)


@endpoint()
def captioners(services: Services) -> list[CaptionerAnswer]:
    """The captioners, with the reason if one cannot be used."""
    return [
        {"name": each.name, "kind": each.kind, "reason": each.unusable}
        for each in services.registry.captioners()
    ]


@endpoint()
def caption_styles(services: Services) -> list[str]:
    """The styles that a captioner can be asked for."""
    return list(STYLES)


@endpoint()
def loras(services: Services, base_model: str | None = None) -> list[LoraAnswer]:
    """The LoRAs; `compatible`: whether each can be used with `base_model`."""
    check_name("base_model", base_model)
    return serializers.loras_view(services, base_model)


@endpoint()
def vaes(services: Services) -> list[VaeAnswer]:
    """The VAEs in checkpoint/vae, for `vae`: `hash` is the first 10 digits of the file's SHA-256 (null until
    computed), `reason` says why one cannot be used."""
    return [
        {
            "name": each.name,
            "origin": each.origin,
            "size_bytes": each.size_bytes,
            "hash": each.hash,
            "reason": each.unusable,
        }
        for each in services.registry.vaes()
    ]


@endpoint()
def wildcards(services: Services) -> list[WildcardAnswer]:
    """The lists of words in wildcards/, which a prompt names as __name__: name, number of values (`lines`),
    and the reason if one cannot be used."""
    return [
        {"name": each.name, "origin": each.origin, "lines": each.lines, "reason": each.unusable}
        for each in services.registry.wildcards()
    ]


@endpoint()
def tokenize(
    services: Services,
    text: str,
    base_model: str | None = None,
    which: Literal["prompt", "prompt_2", "negative_prompt"] = "prompt",
    styles: list[Any] | None = None,
) -> tokens.TokenCount:
    """Count the tokens of a prompt with its styles: {tokens, limit (of one chunk), over (more than one
    chunk), chunks}. The name of an embedding that fits `base_model` counts as its vectors."""
    if not isinstance(text, str) or len(text) > MAX_PROMPT:
        raise RequestError(f"text must be a text of at most {MAX_PROMPT:,} characters.")
    if which not in PROMPTS:
        raise RequestError(f"which must be one of: {', '.join(PROMPTS)}.")
    check_name("base_model", base_model)
    registry = services.registry
    known = registry.default_checkpoint() if base_model is None else registry.checkpoint_called(base_model)
    if styles is not None and not isinstance(styles, list):
        raise RequestError("styles must be a list.")
    used = [recorded(registry.styles, each) for each in styles or ()]
    asked = GenerationRequest.validated(base_model="any", **{"prompt": "", which: text, "styles": used})
    text = getattr(finished(asked), which)
    # All SDXL checkpoints use CLIP's vocabulary, in both text encoders.
    return tokens.count(without_tags(text), registry.embedding_index.fitting(known))


@endpoint()
def free_memory(services: Services) -> FreedMemory:
    """Unload all models; the next job loads what it needs. Refused while a job runs. Returns `freed`, the
    names of the unloaded checkpoints, and the device as in /health."""
    return services.free_memory()


@endpoint()
def device_settings(services: Services, memory: str = "", compile: bool | None = None) -> DeviceSettings:
    """Change the memory policy, or whether the UNet is compiled; what is not given stays. It holds from the
    next job on, also after a restart. Returns the device as in /health, `policies`, all memory policies, and
    `started_with`, the choices of the command line, which hold again after a restart."""
    services.choose_device(memory, compile)
    return services.device_settings()
