"""What is drawn as asked, but will hardly look as expected: sizes, and settings of distilled models."""

from __future__ import annotations

from ..request import GenerationRequest
from .admission import hires_checkpoint
from .catalog.registry import Checkpoint, Registry
from .distilled import far_off
from .prompt_resolver import resolve_prompt
from .sizes import size_warnings


def advice(catalog: Registry, request: GenerationRequest) -> list[str]:
    """Warnings, one sentence each, about a request that `admission.validate_request` let pass."""
    checkpoint = catalog.usable_checkpoint(request.base_model)
    hires = hires_checkpoint(catalog, request) if request.has_hires else None
    return size_warnings(request, checkpoint, hires) + distilled_warnings(catalog, request, checkpoint)


def distilled_warnings(catalog: Registry, request: GenerationRequest, checkpoint: Checkpoint) -> list[str]:
    """A warning if steps or CFG are far from what a distilled LoRA, or else the checkpoint, is made for."""
    loras = (lora for lora, weight in resolve_prompt(catalog, request).loras if weight > 0)
    distilled = next((lora for lora in loras if lora.distilled), None)
    if distilled is not None and distilled.distilled:
        said = far_off(request, distilled.name, "LoRA", distilled.distilled)
    elif checkpoint.distilled:
        said = far_off(request, checkpoint.name, "checkpoint", checkpoint.distilled)
    else:
        said = None
    return [said] if said else []
