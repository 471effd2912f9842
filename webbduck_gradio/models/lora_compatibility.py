"""Whether a LoRA's parts are in a checkpoint and of its sizes, told by the names and shapes in both headers.

Names are compared as diffusers gives them, with `_` for `.` and `te1_` or `te2_` before a text encoder's;
kohya's files and single-file checkpoints may use the original numbering of blocks instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import ModelError
from ..storage.reading import read_json
from .probe.checkpoint import weight_files
from .probe.detect import UNET
from .probe.lora_keys import canonical, counterpart, diffusers_name, read_names, weighted
from .probe.lora_kinds import BIAS_ROLES, kernel, kinds_of, norms_fit
from .probe.safetensors_header import Header, Tensor, read_header

__all__ = ["checkpoint_modules", "diffusers_name", "kernel", "unmatched_modules"]

Sizes = tuple[int, ...]
"""What goes out of a module and what goes in, and the sides of its kernel where it has one; of a layer that
normalises, the number of its weights alone."""

_CLIP = "conditioner.embedders.0.transformer.text_model."
_PROJECTION = re.compile(r"conditioner\.embedders\.[01]\.model\.text_projection(\.weight)?$")
_OPEN_CLIP = re.compile(r"conditioner\.embedders\.[01]\.model\.transformer\.resblocks\.(\d+)\.(.*)_?weight$")
_OPEN_CLIP_NORM = re.compile(
    r"conditioner\.embedders\.[01]\.model\.transformer\.resblocks\.(\d+)\.ln_([12])\.weight$"
)
_OPEN_CLIP_PARTS = {"attn.out_proj.": "self_attn_out_proj", "mlp.c_fc.": "mlp_fc1", "mlp.c_proj.": "mlp_fc2"}


def unmatched_modules(lora: Path, checkpoint: Path) -> tuple[list[str], int]:
    """(parts of the LoRA that the checkpoint has not or has in another size, number of the LoRA's parts).

    The parts are named as the LoRA's file names them. Raises `ModelError`.
    """
    layers = _layers_per_block(checkpoint)
    there = checkpoint_modules(checkpoint, layers)
    biased = modules_with_bias(checkpoint, layers)
    # Of a part of the checkpoint whose names say nothing, nothing is said; loading will tell.
    known = {_part_of(name) for name in there}
    header = read_header(lora)
    parts = weighted(read_names(header.tensors))
    missing = []
    for module, tensors in parts.items():
        name = canonical(module, layers)
        if name is not None and _part_of(name) not in known:
            continue
        found = counterpart(name, there)
        if found is None or not _fits(header, tensors, there[found], found in biased):
            missing.append(module)
    return missing, len(parts)


def _part_of(name: str) -> str:
    return name[:4] if name.startswith(("te1_", "te2_")) else "unet"


def _fits(header: Header, tensors: Mapping[str, str], there: Sizes, has_bias: bool) -> bool:
    """Whether a module of the LoRA fits one of these sizes, and changes a bias only where there is one."""
    shapes = {role: header.tensors[name].shape for role, name in tensors.items()}
    if any(not has_bias or shapes[role] != there[:1] for role in BIAS_ROLES if role in shapes):
        return False
    kinds = kinds_of(tensors)
    if not kinds or kinds[0].lacks(tensors):
        return True  # what lacks is a fault of the file itself, which is told where files are listed
    outline = kinds[0].outline(shapes)
    return outline is not None and outline.fits(there) and norms_fit(shapes, there)


def checkpoint_modules(path: Path, layers: int) -> dict[str, Sizes]:
    """The modules with weights of a checkpoint's UNet and text encoders, file or folder."""
    return dict(_of_file(read_header(path), layers) if path.is_file() else _of_folder(path))


def modules_with_bias(path: Path, layers: int) -> set[str]:
    """The names of those of `checkpoint_modules` that have one."""
    if path.is_file():
        header = read_header(path)
        sound = {
            key: tensor
            for key, tensor in header.tensors.items()
            if f"{key.removesuffix('weight')}bias" in header.tensors
        }
        return {name for name, _ in _of_file(replace(header, tensors=sound), layers)}
    return {name for name, _ in _keys_of_folder(path, ".bias")}


def _keys_of_folder(path: Path, ending: str) -> Iterator[tuple[str, Tensor]]:
    """Canonical name of its module, and tensor, of each tensor whose name has this ending."""
    for part, mark in (("unet", ""), ("text_encoder", "te1_"), ("text_encoder_2", "te2_")):
        for file in weight_files(path / part):
            for key, tensor in read_header(file).tensors.items():
                if key.endswith(ending) and "embeddings." not in key:
                    name = key.removesuffix(ending).removeprefix("text_model.").replace(".", "_")
                    yield mark + name, tensor


def _of_folder(path: Path) -> Iterator[tuple[str, Sizes]]:
    for name, tensor in _keys_of_folder(path, ".weight"):
        yield name, (*tensor.shape[:2], *kernel(tensor.shape))


def _of_file(header: Header, layers: int) -> Iterator[tuple[str, Sizes]]:
    for key, tensor in header.tensors.items():
        if len(tensor.shape) < 2:
            if key.endswith(".weight") and (name := _normalising(key, layers)):
                yield name, tensor.shape
            continue
        out, into = tensor.shape[:2]
        if found := _PROJECTION.match(key):
            # As a bare matrix it lies the other way round.
            yield "te2_text_projection", (out, into) if found[1] else (into, out)
        elif not key.endswith("weight"):
            continue
        elif key.startswith(UNET):
            flat = key.removeprefix(UNET).removesuffix(".weight").replace(".", "_")
            yield diffusers_name(flat, layers), (out, into, *kernel(tensor.shape))
        elif key.startswith(_CLIP) and "embeddings." not in key:
            yield "te1_" + key.removeprefix(_CLIP).removesuffix(".weight").replace(".", "_"), (out, into)
        elif found := _OPEN_CLIP.match(key):
            layer = f"te2_encoder_layers_{found[1]}_"
            if found[2] == "attn.in_proj_":  # the three side by side
                for which in "qkv":
                    yield f"{layer}self_attn_{which}_proj", (out // 3, into)
            elif found[2] in _OPEN_CLIP_PARTS:
                yield layer + _OPEN_CLIP_PARTS[found[2]], (out, into)


def _normalising(key: str, layers: int) -> str:
    """The name of a layer of a single file that has one weight for each channel; "" if it is unknown."""
    if key.startswith(UNET):
        return diffusers_name(key.removeprefix(UNET).removesuffix(".weight").replace(".", "_"), layers)
    if key.startswith(_CLIP):
        return "te1_" + key.removeprefix(_CLIP).removesuffix(".weight").replace(".", "_")
    if key.endswith(".model.ln_final.weight"):
        return "te2_final_layer_norm"
    found = _OPEN_CLIP_NORM.match(key)
    return f"te2_encoder_layers_{found[1]}_layer_norm{found[2]}" if found else ""


def _layers_per_block(checkpoint: Path) -> int:
    if checkpoint.is_file():
        return 2
    try:
        config = read_json(checkpoint / "unet" / "config.json")
        layers = config.get("layers_per_block", 2)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{checkpoint.name}: unet/config.json cannot be read; copy it again.") from error
    return layers if isinstance(layers, int) else 2
