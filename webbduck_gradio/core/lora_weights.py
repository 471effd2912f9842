"""Maps a LoRA file, in any of the known layouts, to changes of a checkpoint's modules."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch

from ..errors import ModelError
from ..models.catalog.registry import Lora
from ..models.probe.lora_alpha import peft_configs, peft_scale
from ..models.probe.lora_keys import canonical, counterpart, read_names, weighted

PARTS = {"unet": "", "text_encoder": "te1_", "text_encoder_2": "te2_"}
"""A pipeline's models that LoRAs change, with the prefix of their modules' canonical names."""

Layer = torch.nn.Linear | torch.nn.Conv2d
Place = tuple[str, str]
"""(model of the pipeline, dotted name of a module in it)."""


class Change(Protocol):
    """What a LoRA does to the weights of one module; each kind of LoRA is a class of its own."""

    @property
    def is_finite(self) -> bool:
        """Whether it contains neither NaN nor infinity."""

    @property
    def has_effect(self) -> bool:
        """Whether it is anything but zero."""

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        """What is added to the weights at a strength of 1: in float32, of their shape and on their device.

        `weight`: the checkpoint's own, in float32; not changed.
        """


@dataclass(frozen=True)
class LowRank:
    """`scale` times `up` @ `down` (Hu et al. 2021, "LoRA"); of convolutions too (LoCon).

    `down`: (rank, in) or (rank, in, height, width); `up`: (out, rank) or (out, rank, 1, 1).
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def is_finite(self) -> bool:
        return bool(self.down.isfinite().all() and self.up.isfinite().all())

    @property
    def has_effect(self) -> bool:
        return bool(self.scale and self.down.any() and self.up.any())

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        up, down = (each.flatten(1).float().to(weight.device) for each in (self.up, self.down))
        return (up * self.scale @ down).view(weight.shape)


def changes_of(pipe: Any, lora: Lora) -> dict[Place, Change]:
    """All changes of `pipe` by `lora`. Raises `ModelError` if it is incompatible or damaged, and what reading
    the file raises."""
    tensors, metadata = read_tensors(lora.path)
    parts = weighted(read_names(tensors))
    try:
        configs = peft_configs(metadata, lora.path)
    except ValueError as error:
        raise ModelError(f"The LoRA {lora.name} cannot be used: {error}; get it again.") from None
    places = {canonical: place for canonical, place in _places(pipe)}
    layers = getattr(pipe.unet.config, "layers_per_block", 2)
    found: dict[Place, Change] = {}
    unmatched = []
    for written, roles in parts.items():
        name = counterpart(canonical(written, layers), places)
        if name is None or not {"down", "up"} <= roles.keys():
            unmatched.append(written)
            continue
        part, module = place = places[name]
        weight = getattr(pipe, part).get_submodule(module).weight
        pair = _shaped(weight, tensors[roles["down"]], tensors[roles["up"]])
        if pair is None or place in found:
            unmatched.append(written)
            continue
        rank = pair[0].shape[0]
        if "alpha" in roles:
            scale = tensors[roles["alpha"]].double().flatten()[0].item() / rank
        else:
            declared = peft_scale(configs, part, module, rank)
            scale = 1.0 if declared is None else declared
        if not math.isfinite(scale):
            raise ModelError(f"The LoRA {lora.name} is damaged: an alpha is not finite; get it again.")
        found[place] = LowRank(*pair, scale)
    if unmatched or not found:
        raise ModelError(
            f"The LoRA {lora.name} does not fit this checkpoint: {len(unmatched)} of its {len(parts)} "
            f"modules have no counterpart of the same shape ({''.join(unmatched[:1])[:100]}); choose a LoRA "
            "that was made for it."
        )
    return found


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a safetensors file and the texts of its metadata. Read into memory: with a mapped file
    the process would crash if the file were truncated or its network share disappeared."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:end])
    metadata = table.pop("__metadata__", None) or {}
    try:
        "".join((*metadata, *metadata.values())).encode()
    except (TypeError, UnicodeEncodeError):
        # safetensors rejects files whose metadata contains anything but texts; the tensors do not need it.
        header = json.dumps(table).encode()
        data = len(header).to_bytes(8, "little") + header + data[end:]
    return safetensors.torch.load(data), {
        key: each for key, each in metadata.items() if isinstance(each, str)
    }


def _places(pipe: Any) -> list[tuple[str, Place]]:
    """(canonical name, `Place`) of each module that a LoRA can change."""
    found = []
    for part, mark in PARTS.items():
        model = getattr(pipe, part, None)
        for name, module in model.named_modules() if model is not None else ():
            if isinstance(module, Layer):
                flat = name.removeprefix("text_model.") if mark else name
                found.append((mark + flat.replace(".", "_"), (part, name)))
    return found


def _shaped(
    weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Both matrices with as many axes as a module's weights; None if their shapes do not match it.

    Files may store a 1 x 1 kernel for a linear layer, or no kernel axes for a 1 x 1 convolution.
    """
    kernel = weight.shape[2:]
    if (
        down.ndim < 2
        or up.ndim < 2
        or down.shape[0] != up.shape[1]
        or any(side != 1 for side in up.shape[2:])
    ):
        return None
    if down.ndim == 2 or all(side == 1 for side in down.shape[2:]):
        down = down.flatten(1)
        down = down.view(*down.shape, *kernel) if all(side == 1 for side in kernel) else down
    if down.shape[1:] != weight.shape[1:] or up.shape[0] != weight.shape[0]:
        return None
    return down, up.flatten(1).view(*up.shape[:2], *(1 for _ in kernel))
