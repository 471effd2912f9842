"""What a LoRA's file adds to which modules of a checkpoint, whatever layout it is written in."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ..errors import ModelError
from ..models.catalog.registry import Lora
from ..models.probe.lora_alpha import peft_configs, peft_scale
from ..models.probe.lora_keys import canonical, counterpart, read_names, weighted

PARTS = {"unet": "", "text_encoder": "te1_", "text_encoder_2": "te2_"}
"""A pipeline's models that LoRAs change, and what stands before the canonical names of their modules."""

Layer = torch.nn.Linear | torch.nn.Conv2d
Place = tuple[str, str]
"""(a pipeline's model, the dotted name of a module in it)."""


@dataclass(frozen=True)
class Addition:
    """`scale` times `up` @ `down` is added to a module's weights.

    `down`: (rank, in) or (rank, in, height, width); `up`: (out, rank) or (out, rank, 1, 1).
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float


def additions(pipe: Any, lora: Lora) -> dict[Place, Addition]:
    """All that `lora` adds to `pipe`. Raises `ModelError` for what does not fit, and what reading raises."""
    tensors, metadata = read_tensors(lora.path)
    parts = weighted(read_names(tensors))
    try:
        configs = peft_configs(metadata, lora.path)
    except ValueError as error:
        raise ModelError(f"The LoRA {lora.name} cannot be used: {error}; get it again.") from None
    places = {canonical: place for canonical, place in _places(pipe)}
    layers = getattr(pipe.unet.config, "layers_per_block", 2)
    found: dict[Place, Addition] = {}
    lost = []
    for written, roles in parts.items():
        name = counterpart(canonical(written, layers), places)
        if name is None or not {"down", "up"} <= roles.keys():
            lost.append(written)
            continue
        part, module = place = places[name]
        pair = _shaped(
            getattr(pipe, part).get_submodule(module), tensors[roles["down"]], tensors[roles["up"]]
        )
        if pair is None or place in found:
            lost.append(written)
            continue
        rank = pair[0].shape[0]
        if "alpha" in roles:
            scale = tensors[roles["alpha"]].double().flatten()[0].item() / rank
        else:
            said = peft_scale(configs, part, module, rank)
            scale = 1.0 if said is None else said
        if not math.isfinite(scale):
            raise ModelError(f"The LoRA {lora.name} is damaged: an alpha in it is no number; get it again.")
        found[place] = Addition(*pair, scale)
    if lost or not found:
        raise ModelError(
            f"The LoRA {lora.name} does not fit: {len(lost)} of its {len(parts)} parts have no counterpart "
            f"of their size in this checkpoint ({''.join(lost[:1])[:100]}); choose one that was made for it."
        )
    return found


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A safetensors file's tensors and the texts of its metadata, read whole: what is only mapped would end
    the process where the file is cut off or its share goes away."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:end])
    metadata = table.pop("__metadata__", None) or {}
    try:
        "".join((*metadata, *metadata.values())).encode()
    except (TypeError, UnicodeEncodeError):
        # The library refuses files whose metadata holds anything but texts; the tensors need none of it.
        header = json.dumps(table).encode()
        data = len(header).to_bytes(8, "little") + header + data[end:]
    return safetensors.torch.load(data), {
        key: each for key, each in metadata.items() if isinstance(each, str)
    }


def _places(pipe: Any) -> list[tuple[str, Place]]:
    """(canonical name, place) of each module that a LoRA can change."""
    found = []
    for part, mark in PARTS.items():
        model = getattr(pipe, part, None)
        for name, module in model.named_modules() if model is not None else ():
            if isinstance(base_of(module), Layer) and ".base_layer" not in name and ".lora_" not in name:
                flat = name.removeprefix("text_model.") if mark else name
                found.append((mark + flat.replace(".", "_"), (part, name)))
    return found


def base_of(module: torch.nn.Module) -> torch.nn.Module:
    """The layer itself where adapters are wrapped around it."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module  # type: ignore[operator]


def _shaped(
    module: torch.nn.Module, down: torch.Tensor, up: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The two halves with as many axes as the module's weights; None where they do not fit it.

    Files may hold a kernel of a single point for a linear layer, and none for a convolution of one point.
    """
    weight = base_of(module).weight
    assert isinstance(weight, torch.Tensor)
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
