"""What a request's settings come to with UNets that differ from SDXL's: full LCM, SSD-1B and Vega."""

from __future__ import annotations

from collections.abc import Sequence

from ..request import GenerationRequest
from ..request.applicability import without_effect
from .catalog.entries import Checkpoint


def unet_warnings(request: GenerationRequest, checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Warnings about settings without effect. `checkpoints`: those of the request's passes in turn."""
    return [
        note
        for each in dict.fromkeys(checkpoints)
        for note in (*_with_cfg_as_input(request, each), *_without_middle(request, each))
    ]


def _with_cfg_as_input(request: GenerationRequest, checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.takes_cfg:
        return []
    fields = request.model_dump()
    lost = without_effect(fields | {"cfg": 1.0}).keys() - without_effect(fields).keys()
    changed = [name for name in fields if name in lost and fields[name] != _default(name)]
    if not changed:
        return []
    verb = "has" if len(changed) == 1 else "have"
    return [
        f"{', '.join(changed)} {verb} no effect with {checkpoint.name}, whose UNet takes CFG as an input."
    ]


def _without_middle(request: GenerationRequest, checkpoint: Checkpoint) -> list[str]:
    asked = [name for name in ("pag_scale", "slg_scale") if getattr(request, name)]
    if checkpoint.has_middle_transformer or not asked:
        return []
    verb = "has" if len(asked) == 1 else "have"
    return [
        f"{', '.join(asked)} {verb} no effect with {checkpoint.name}, whose UNet has no transformer in its "
        "middle block."
    ]


def _default(name: str) -> object:
    return GenerationRequest.model_fields[name].default
