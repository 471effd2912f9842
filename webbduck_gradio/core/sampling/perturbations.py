"""What guidance changes inside the UNet, for the length of one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from ..compiling import uncompiled
from .guidance import FreeU

Perturbation = Callable[[Any, slice], list[RemovableHandle]]
"""(unet, rows) -> the hooks that perturb these rows of a batch, and no others."""


NEARLY_ZERO = 1e-30
"""Stands for a factor of 0, which would switch all of diffusers' FreeU off."""


def can_be_perturbed(unet: Any) -> bool:
    """Whether its middle block has a transformer, which SSD-1B's and Vega's lack."""
    return getattr(unet.mid_block, "has_cross_attention", False)


def without_self_attention(unet: Any, rows: slice) -> list[RemovableHandle]:
    """The middle block's self-attention maps replaced by the identity: each position attends to itself alone
    (Ahn et al. 2024)."""

    def replace(attention: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        values = attention.to_v(arguments[0][rows])
        for layer in attention.to_out:
            values = layer(values)
        output[rows] = values
        return output

    blocks = [block for each in unet.mid_block.attentions for block in each.transformer_blocks]
    return [block.attn1.register_forward_hook(replace) for block in blocks]


def without_transformer(unet: Any, rows: slice) -> list[RemovableHandle]:
    """The middle block's transformer left out."""

    def replace(
        transformer: Any, arguments: tuple[torch.Tensor, ...], output: tuple[torch.Tensor]
    ) -> tuple[torch.Tensor]:
        output[0][rows] = arguments[0][rows]
        return output

    return [each.register_forward_hook(replace) for each in unet.mid_block.attentions]


@contextmanager
def changed(
    unet: Any, freeu: FreeU | None, perturbed: Sequence[tuple[Perturbation, slice]]
) -> Iterator[None]:
    """Changes `unet` and leaves it as it was, whatever happens meanwhile."""
    with ExitStack() as undo:
        if freeu:
            undo.callback(unet.disable_freeu)
            unet.enable_freeu(**{name: factor or NEARLY_ZERO for name, factor in asdict(freeu).items()})
        if perturbed:
            undo.enter_context(uncompiled(unet.mid_block))
        for perturb, rows in perturbed:
            for hook in perturb(unet, rows):
                undo.callback(hook.remove)
        yield
