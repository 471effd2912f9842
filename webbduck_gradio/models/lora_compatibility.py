"""Whether a LoRA's parts are in a checkpoint and of its sizes, told by the names and shapes in both headers.

Names are compared as diffusers gives them, with `_` for `.` and `te1_` or `te2_` before a text encoder's;
kohya's files and single-file checkpoints may use the original numbering of blocks instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import ModelError
from ..storage.reading import read_json
from .probe.checkpoint import weight_files
from .probe.detect import UNET
from .probe.lora_keys import canonical, counterpart, diffusers_name, read_names, weighted
from .probe.safetensors_header import Header, read_header

__all__ = ["checkpoint_modules", "diffusers_name", "kernel", "unmatched_modules"]

Sizes = tuple[int, ...]
"""What goes out of a module and what goes in, and the sides of its kernel where it has one."""

_CLIP = "conditioner.embedders.0.transformer.text_model."
_PROJECTION = re.compile(r"conditioner\.embedders\.[01]\.model\.text_projection(\.weight)?$")
_OPEN_CLIP = re.compile(r"conditioner\.embedders\.[01]\.model\.transformer\.resblocks\.(\d+)\.(.*)_?weight$")
_OPEN_CLIP_PARTS = {"attn.out_proj.": "self_attn_out_proj", "mlp.c_fc.": "mlp_fc1", "mlp.c_proj.": "mlp_fc2"}


def unmatched_modules(lora: Path, checkpoint: Path) -> tuple[list[str], int]:
    """(parts of the LoRA that the checkpoint has not or has in another size, number of the LoRA's parts).

    The parts are named as the LoRA's file names them. Raises `ModelError`.
    """
    layers = _layers_per_block(checkpoint)
    there = checkpoint_modules(checkpoint, layers)
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
        if found is None or not _same(there[found], _sizes(header, tensors)):
            missing.append(module)
    return missing, len(parts)


def _part_of(name: str) -> str:
    return name[:4] if name.startswith(("te1_", "te2_")) else "unet"


def _sizes(header: Header, tensors: Mapping[str, str]) -> tuple[int, ...]:
    """What a module of the LoRA changes: (out, in) and the sizes of a kernel; -1 = not known."""
    down = header.tensors[tensors["down"]].shape if "down" in tensors else ()
    up = header.tensors[tensors["up"]].shape if "up" in tensors else ()
    return up[0] if up else -1, down[1] if len(down) > 1 else -1, *kernel(down)


def kernel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of a kernel; one of a single point is as good as none."""
    return () if all(side == 1 for side in shape[2:]) else shape[2:]


def _same(there: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(a == b or b == -1 for a, b in zip(there[:2], wanted[:2], strict=True)) and (
        wanted[2:] == there[2:] or -1 in wanted[:2]
    )


def checkpoint_modules(path: Path, layers: int) -> dict[str, Sizes]:
    """The modules with weights of a checkpoint's UNet and text encoders, file or folder."""
    return dict(_of_file(read_header(path), layers) if path.is_file() else _of_folder(path))


def _of_folder(path: Path) -> Iterator[tuple[str, Sizes]]:
    for part, mark in (("unet", ""), ("text_encoder", "te1_"), ("text_encoder_2", "te2_")):
        for file in weight_files(path / part):
            for key, tensor in read_header(file).tensors.items():
                if key.endswith(".weight") and len(tensor.shape) >= 2 and "embeddings." not in key:
                    name = key.removesuffix(".weight").removeprefix("text_model.").replace(".", "_")
                    yield mark + name, (*tensor.shape[:2], *kernel(tensor.shape))


def _of_file(header: Header, layers: int) -> Iterator[tuple[str, Sizes]]:
    for key, tensor in header.tensors.items():
        if len(tensor.shape) < 2:
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


def _layers_per_block(checkpoint: Path) -> int:
    if checkpoint.is_file():
        return 2
    try:
        config = read_json(checkpoint / "unet" / "config.json")
        layers = config.get("layers_per_block", 2)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{checkpoint.name}: unet/config.json cannot be read; copy it again.") from error
    return layers if isinstance(layers, int) else 2
