"""A UNet's weights stored in 8 bits (E4M3, Micikevicius et al. 2022), widened layer by layer as it computes.

Each row of a weight has a power of two as its scale: without it most of SDXL's weights would fall below
the smallest normal number, 1/64, and keep no more than two bits.
"""

from __future__ import annotations

from typing import Any

import torch

STORED = torch.float8_e4m3fn
LARGEST = 448.0
"""Largest number of E4M3."""

PLACES = ("down_blocks", "mid_block", "up_blocks")
"""What is stored so: nearly all of the weights. The layers around the blocks keep their precision."""


class Fp8Storage:
    """The layers of one UNet stored in 8 bits, until `undo`."""

    def __init__(self, unet: Any):
        """Converts the weights where they are. The original ones are kept, in the memory that they have."""
        self._original: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
        self._hooks: list[Any] = []
        for place in PLACES:
            for layer in getattr(unet, place).modules():
                if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                    self._store(layer)

    def _store(self, layer: torch.nn.Module) -> None:
        weight: Any = layer.weight
        original = weight.data
        stored, scale = stored_in_8_bits(original)
        self._original.append((weight, original))
        weight.data = stored
        dtype = original.dtype

        def widen(module: Any, arguments: Any) -> None:
            narrow = module.weight.data
            held.append(narrow)
            module.weight.data = narrow.to(dtype) * scale.to(narrow.device)

        def narrow_again(module: Any, arguments: Any, output: Any) -> None:
            module.weight.data = held.pop()

        held: list[torch.Tensor] = []
        self._hooks += [
            layer.register_forward_pre_hook(widen),
            layer.register_forward_hook(narrow_again, always_call=True),
        ]

    def undo(self) -> None:
        """Give the layers their original weights back, where those are."""
        for hook in self._hooks:
            hook.remove()
        for weight, original in self._original:
            weight.data = original


def stored_in_8_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight (rows, ...) in 8 bits, and the scale of each row, (rows, 1, ...), in the weight's precision: a
    power of two, so that multiplying by it is exact."""
    axes = tuple(range(1, weight.ndim))
    largest = weight.float().abs().amax(axes, keepdim=True)
    exponent = torch.where(largest > 0, torch.ceil(torch.log2(largest / LARGEST)), 0.0)
    # float16 has no smaller power of two.
    scale = torch.exp2(exponent.clamp(min=-24))
    return (weight.float() / scale).to(STORED), scale.to(weight.dtype)
