"""Maps a LoRA file, of any kind and in any of the known layouts, to changes of a checkpoint's parameters."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ..errors import ModelError
from ..models.catalog.registry import Lora
from ..models.probe.lora_alpha import peft_configs, peft_scale
from ..models.probe.lora_keys import canonical, counterpart, read_names, weighted
from ..models.probe.lora_kinds import BIAS_ROLES, kinds_of
from .lora_kinds import Change
from .lora_kinds.building import bias_change, weight_change

PARTS = {"unet": "", "text_encoder": "te1_", "text_encoder_2": "te2_"}
"""A pipeline's models that LoRAs change, with the prefix of their modules' canonical names."""

LAYERS = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm)
Place = tuple[str, str]
"""(model of the pipeline, dotted name of a parameter in it)."""


def changes_of(pipe: Any, lora: Lora) -> dict[Place, Change]:
    """All changes of `pipe` by `lora`. Raises `ModelError` if it is incompatible or damaged, and what reading
    the file raises."""
    tensors, metadata = read_tensors(lora.path)
    parts = weighted(read_names(tensors))
    try:
        configs = peft_configs(metadata, lora.path)
    except ValueError as error:
        raise ModelError(f"The LoRA {lora.name} cannot be used: {error}; get it again.") from None
    modules = {canonical: module for canonical, module in _modules(pipe)}
    layers = getattr(pipe.unet.config, "layers_per_block", 2)
    found: dict[Place, Change] = {}
    unmatched = []
    for written, roles in parts.items():
        name = counterpart(canonical(written, layers), modules)
        if name is None:
            unmatched.append(written)
            continue
        part, path = modules[name]
        module, own = (
            getattr(pipe, part).get_submodule(path),
            {role: tensors[key] for role, key in roles.items()},
        )

        def scale_of(rank: int, part: str = part, path: str = path, own: Any = own) -> float:
            if "alpha" in own:
                scale = float(own["alpha"].double().flatten()[0]) / rank
            else:
                declared = peft_scale(configs, part, path, rank)
                scale = 1.0 if declared is None else declared
            if not math.isfinite(scale):
                raise ModelError(f"The LoRA {lora.name} is damaged: an alpha is not finite; get it again.")
            return scale

        changes = {}
        if kinds_of(roles):
            changes[part, f"{path}.weight"] = weight_change(own, module.weight.shape, scale_of)
        if roles.keys() & set(BIAS_ROLES):
            changes[part, f"{path}.bias"] = bias_change(own, module.bias, scale_of)
        fitting = {place: change for place, change in changes.items() if change is not None}
        if len(fitting) < len(changes) or not changes or changes.keys() & found.keys():
            unmatched.append(written)
        else:
            found |= fitting
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


def _modules(pipe: Any) -> list[tuple[str, tuple[str, str]]]:
    """(canonical name, (model of the pipeline, dotted name)) of each module that a LoRA can change."""
    found = []
    for part, mark in PARTS.items():
        model = getattr(pipe, part, None)
        for name, module in model.named_modules() if model is not None else ():
            if isinstance(module, LAYERS):
                flat = name.removeprefix("text_model.") if mark else name
                found.append((mark + flat.replace(".", "_"), (part, name)))
    return found
