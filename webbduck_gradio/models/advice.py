"""What is drawn as asked, but will hardly look as expected: sizes, and settings of distilled models."""

from __future__ import annotations

from ..request import GenerationRequest
from .admission import hires_checkpoint
from .catalog.registry import Checkpoint, Registry
from .distilled import far_off
from .prompt_resolver import resolve_prompt, varies
from .sizes import size_warnings


def advice(catalog: Registry, request: GenerationRequest) -> list[str]:
    """Warnings, one sentence each, about a request that `admission.validate_request` let pass."""
    checkpoint = catalog.usable_checkpoint(request.base_model)
    hires = hires_checkpoint(catalog, request) if request.has_hires else None
    return size_warnings(request, checkpoint, hires) + distilled_warnings(catalog, request, checkpoint)


def distilled_warnings(catalog: Registry, request: GenerationRequest, checkpoint: Checkpoint) -> list[str]:
    """A warning for each distilled LoRA of any picture, or else for the checkpoint, if steps or CFG are far
    from what it is made for. Of a picture's LoRAs the first one counts."""
    found: dict[str, str | None] = {}
    for index in range(request.num_images if varies(request) else 1):
        loras = (lora for lora, weight in resolve_prompt(catalog, request, index).loras if weight > 0)
        lora = next((each for each in loras if each.distilled), None)
        if lora is not None and lora.distilled:
            found[lora.name] = far_off(request, lora.name, "LoRA", lora.distilled)
        elif checkpoint.distilled:
            found[""] = far_off(request, checkpoint.name, "checkpoint", checkpoint.distilled)
    return [said for said in found.values() if said]
