"""A UNet whose weights are in main memory and copied to the device while it computes: diffusers' group
offloading, which copies the next group in a stream of its own."""

from __future__ import annotations

import logging
from typing import Any, Literal

import psutil
import torch
from diffusers.hooks import apply_group_offloading
from diffusers.models.transformers.transformer_2d import Transformer2DModel

log = logging.getLogger(__name__)

WITH_STREAMS = ("cuda", "xpu")
"""Devices that copy and compute at once; "cuda" is ROCm, too."""

_OFFLOADING = "group_offloading"
_HOOKS = ("layer_execution_tracker", "lazy_prefetch_group_offloading", _OFFLOADING)
"""Names of diffusers' hooks."""


class Streamed:
    """One UNet that is streamed, until `undo`. By blocks only the transformers are: most of the weights, in
    few pieces."""

    def __init__(
        self, unet: Any, device: torch.device, by: Literal["blocks", "layers"], is_mapped: bool = False
    ):
        """`unet`: its weights are in main memory, where page-locked copies take their place if there is room.
        `is_mapped`: whether they are mapped from their file, and return there in the end."""
        self._roots: list[torch.nn.Module] = [unet]
        if by == "blocks":
            self._roots = [each for each in unet.modules() if isinstance(each, Transformer2DModel)]
        self.tensors = {id(each) for root in self._roots for each in (*root.parameters(), *root.buffers())}
        """`id` of each tensor that is streamed."""
        self._mapped = [(each, each.data) for root in self._roots for each in root.parameters() if is_mapped]
        size = sum(each.nbytes for root in self._roots for each in root.parameters())
        streams = device.type in WITH_STREAMS
        has_room = size * 1.5 < psutil.virtual_memory().available
        if streams and not has_room:
            log.warning("Main memory is short, so weights are page-locked one by one: drawing is slower")
        for root in self._roots:
            apply_group_offloading(
                root,
                onload_device=device,
                offload_type="block_level" if by == "blocks" else "leaf_level",
                num_blocks_per_group=1,
                use_stream=streams,
                low_cpu_mem_usage=streams and not has_room,
            )

    def undo(self) -> None:
        """Have the weights in main memory, and no hooks, also if a forward was cut off."""
        for root in self._roots:
            for module in root.modules():
                registry = getattr(module, "_diffusers_hook", None)
                if registry is None:
                    continue
                hook = registry.get_hook(_OFFLOADING)
                if hook is not None:
                    hook.group.offload_()
                for name in _HOOKS:
                    registry.remove_hook(name, recurse=False)
        for tensor, data in self._mapped:
            tensor.data = data
