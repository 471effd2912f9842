"""What of a LoRA's settings has no effect in a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from .lora_uses import LoraUse
from .probe.lora_keys import canonical, read_names, weighted
from .probe.safetensors_header import read_header


def without_effect(uses: Iterable[LoraUse], steps: int) -> Iterator[str]:
    """A sentence for each such setting. `steps`: that the first pass draws. Raises `ModelError`."""
    for use in uses:
        encoders, unet = _parts(use.lora.path, use.lora.stamp)
        name = f"The LoRA {use.lora.name}"
        if use.te_weight is not None and not encoders:
            yield f"{name} changes no text encoder, so that its te_weight has no effect."
        if not unet and (use.blocks is not None or use.is_limited):
            asked = "blocks" if use.blocks is not None else "start and end"
            yield f"{name} does not change the UNet, so that its {asked} have no effect there."
        elif use.at(0, steps).rests and all(use.at(step, steps).rests for step in range(steps)):
            yield (
                f"{name} acts in none of the {steps} steps, from {use.start:g} to {use.end:g} of them; move "
                "its start and end apart."
            )


@lru_cache(1024)
def _parts(path: Path, _stamp: str) -> tuple[bool, bool]:
    """Whether the file changes text encoders, and the UNet."""
    names = [canonical(module, 2) or "" for module in weighted(read_names(read_header(path).tensors))]
    encoders = [name for name in names if name.startswith(("te1_", "te2_"))]
    return bool(encoders), len(encoders) < len(names)
