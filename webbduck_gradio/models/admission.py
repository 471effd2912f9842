"""Whether a request fits what is installed: the one place where a job is refused before it is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError, RequestError
from ..request import GenerationRequest

if TYPE_CHECKING:
    from .registry import Registry


def admit(registry: Registry, request: GenerationRequest) -> list[str]:
    """Raises `RequestError` or `ModelError` with one sentence; returns warnings about what will differ."""
    checkpoint = registry.checkpoint(request.base_model)
    if checkpoint.arch == "sdxl-refiner":
        raise ModelError(
            f"{checkpoint.name} is a refiner, which only continues another checkpoint's picture; "
            "choose it as the second pass."
        )
    # What the core cannot do yet; each line goes when the core learns it.
    for asked, what in (
        (request.image, "Starting from a picture"),
        (request.mask, "Inpainting"),
        (request.second_pass_model, "A second pass"),
        (request.loras, "Using LoRAs"),
        (request.prompt_2, "A second prompt"),
    ):
        if asked:
            raise RequestError(f"{what} is not possible in this version yet; leave it out.")
    return _warnings(request)


def _warnings(request: GenerationRequest) -> list[str]:
    warnings = []
    if request.cfg == 1 and request.negative_prompt.strip():
        warnings.append("At CFG 1 there is no guidance, so the negative prompt has no effect.")
    return warnings
