"""How a request uses a LoRA: its weights, and when they count."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ..request import LoraSelection
from ..request.lora_blocks import BASE, Block, Blocks, factor
from .catalog.registry import Lora

_LAYER = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(?:resnets|attentions)\.(\d+)\.")
_SAMPLER = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(?:down|up)samplers\.0\.")


@dataclass(frozen=True)
class LoraUse:
    """A LoRA with what its `LoraSelection` says, the weight filled in."""

    lora: Lora
    weight: float = 1.0
    te_weight: float | None = None
    blocks: Blocks | None = None
    start: float = 0.0
    end: float = 1.0
    rests: bool = False
    """Whether it is out of use in the UNet at the moment."""

    @classmethod
    def of(cls, lora: Lora, chosen: LoraSelection) -> LoraUse:
        return cls(lora, chosen.weight, chosen.te_weight, chosen.blocks, chosen.start, chosen.end)

    @property
    def settings(self) -> dict[str, Any]:
        """As a request holds them, without those at their defaults."""
        told = {name: getattr(self, name) for name in ("weight", "te_weight", "blocks", "start", "end")}
        return LoraSelection(name=self.lora.name, **told).model_dump(mode="json")

    @property
    def encoder_strength(self) -> float:
        """How often it is added to the text encoders. They have it from the first step to the last."""
        return (self.weight if self.te_weight is None else self.te_weight) * factor(self.blocks, BASE)

    def unet_strength(self, block: Block | None) -> float:
        """How often it is added to a block of the UNet at the moment."""
        return 0.0 if self.rests else self.weight * factor(self.blocks, block)

    @property
    def key(self) -> tuple[Any, ...]:
        """Differs where the weights of a checkpoint with it do."""
        return (str(self.lora.path), self.lora.stamp, self.weight, self.te_weight, self.blocks, self.rests)

    @property
    def is_limited(self) -> bool:
        """Whether it does not act in all steps."""
        return self.start > 0 or self.end < 1

    def at(self, step: int, total: int) -> LoraUse:
        """As it is used in a step (from 0) of this many. `start` and `end` fall on the nearest steps."""
        acts = round(self.start * total) <= step and (self.end >= 1 or step < round(self.end * total))
        return self if self.rests != acts else replace(self, rests=not acts)


@cache
def block_of(name: str, layers: int, levels: int) -> Block | None:
    """The block of a parameter of diffusers' UNet; None for those in no block. `layers`: per block on the way
    down, `levels`: of resolution."""
    if name.startswith("conv_in."):
        return Block("IN", 0, levels == 1)
    if name.startswith("mid_block."):
        return Block("M", 0, True)
    if found := _LAYER.match(name):
        level, layer = int(found[2]), int(found[3])
    elif found := _SAMPLER.match(name):
        level = int(found[2])
        layer = layers
    else:
        return None
    if found[1] == "down_blocks":
        return Block("IN", 1 + level * (layers + 1) + layer, level == levels - 1)
    return Block("OUT", level * (layers + 1) + layer, level == 0)
