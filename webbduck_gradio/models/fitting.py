"""Whether a LoRA's parts are in a checkpoint and of its sizes, told by the names and shapes in both headers.

Names are compared as diffusers gives them, with `_` for `.` and `te1_` or `te2_` before a text encoder's;
kohya's files and single-file checkpoints may use the original numbering of blocks instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError
from .header import Header, read_header
from .inspect import UNET, weight_files

Sizes = tuple[int, int]
"""What goes out of a module and what goes in; -1 = not known."""

_ENDING = re.compile(
    r"(\.lora_down|\.lora_up|\.lora_[AB]|[._]lora\.down|[._]lora\.up|\.lora_linear_layer\.\w+|\.alpha)\b.*$"
)
_DOWN = re.compile(r"lora_down|lora_A|lora\.down|lora_linear_layer\.down")
_UP = re.compile(r"lora_up|lora_B|lora\.up|lora_linear_layer\.up")
_PROCESSOR = re.compile(r"_processor(?=_|$)")
_BLOCK = re.compile(r"(input|output|middle)_blocks?_(\d+)_(?:(\d)_)?(.*)$")
_RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
_SINGLE = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}
_CLIP = "conditioner.embedders.0.transformer.text_model."
_OPEN_CLIP = re.compile(r"conditioner\.embedders\.[01]\.model\.transformer\.resblocks\.(\d+)\.(.*)_?weight$")
_OPEN_CLIP_PARTS = {"attn.out_proj.": "self_attn_out_proj", "mlp.c_fc.": "mlp_fc1", "mlp.c_proj.": "mlp_fc2"}


def missing_parts(lora: Path, checkpoint: Path) -> tuple[int, int]:
    """(parts of the LoRA that the checkpoint has not or has in another size, parts of the LoRA)."""
    layers = _layers_per_block(checkpoint)
    there = checkpoint_modules(checkpoint, layers)
    wanted = lora_modules(read_header(lora), layers)
    # Of a part of the checkpoint whose names say nothing, nothing is said; loading will tell.
    known = {_part_of(name) for name in there}
    missing = [
        name
        for name, sizes in wanted.items()
        if _part_of(name) in known and not _same(there.get(name, there.get(name + "_0")), sizes)
    ]
    return len(missing), len(wanted)


def _part_of(name: str) -> str:
    return name[:4] if name.startswith(("te1_", "te2_")) else "unet"


def _same(there: Sizes | None, wanted: Sizes) -> bool:
    return there is not None and all(a == b or -1 in (a, b) for a, b in zip(there, wanted, strict=True))


def lora_modules(header: Header, layers: int) -> dict[str, Sizes]:
    """The modules that a LoRA changes, with the sizes that it expects."""
    found: dict[str, Sizes] = {}
    for key, tensor in header.tensors.items():
        name = _ENDING.sub("", key)
        module = None if name == key else _lora_module(name, layers)
        if module is None:
            continue
        out, into = found.get(module, (-1, -1))
        if len(tensor.shape) >= 2 and _DOWN.search(key):
            into = tensor.shape[1]
        elif len(tensor.shape) >= 2 and _UP.search(key):
            out = tensor.shape[0]
        found[module] = (out, into)
    return found


def _lora_module(name: str, layers: int) -> str | None:
    for start, part in (("lora_te1_", "te1_"), ("lora_te2_", "te2_")):
        if name.startswith(start):
            return part + name.removeprefix(start).removeprefix("text_model_")
    for start, part in (("text_encoder.", "te1_"), ("text_encoder_2.", "te2_")):
        if name.startswith(start):
            return part + name.removeprefix(start).removeprefix("text_model.").replace(".", "_")
    if name.startswith("lora_unet_"):
        return diffusers_name(name.removeprefix("lora_unet_"), layers)
    if name.startswith("unet."):
        return _PROCESSOR.sub("", name.removeprefix("unet.").replace(".", "_"))
    return None


def checkpoint_modules(path: Path, layers: int) -> dict[str, Sizes]:
    """The modules with weights of a checkpoint's UNet and text encoders, file or folder."""
    return dict(_of_file(read_header(path), layers) if path.is_file() else _of_folder(path))


def _of_folder(path: Path) -> Iterator[tuple[str, Sizes]]:
    for part, mark in (("unet", ""), ("text_encoder", "te1_"), ("text_encoder_2", "te2_")):
        for file in weight_files(path / part):
            for key, tensor in read_header(file).tensors.items():
                if key.endswith(".weight") and len(tensor.shape) >= 2:
                    name = key.removesuffix(".weight").removeprefix("text_model.").replace(".", "_")
                    yield mark + name, tensor.shape[:2]  # type: ignore[misc]  # two there are


def _of_file(header: Header, layers: int) -> Iterator[tuple[str, Sizes]]:
    for key, tensor in header.tensors.items():
        if not key.endswith("weight") or len(tensor.shape) < 2:
            continue
        out, into = tensor.shape[:2]
        if key.startswith(UNET):
            flat = key.removeprefix(UNET).removesuffix(".weight").replace(".", "_")
            yield diffusers_name(flat, layers), (out, into)
        elif key.startswith(_CLIP):
            yield "te1_" + key.removeprefix(_CLIP).removesuffix(".weight").replace(".", "_"), (out, into)
        elif found := _OPEN_CLIP.match(key):
            layer = f"te2_encoder_layers_{found[1]}_"
            if found[2] == "attn.in_proj_":  # the three side by side
                for which in "qkv":
                    yield f"{layer}self_attn_{which}_proj", (out // 3, into)
            elif found[2] in _OPEN_CLIP_PARTS:
                yield layer + _OPEN_CLIP_PARTS[found[2]], (out, into)


def diffusers_name(name: str, layers: int) -> str:
    """'input_blocks_4_1_x' -> 'down_blocks_1_attentions_0_x' for `layers` layers in each block."""
    if name in _SINGLE:
        return _SINGLE[name]
    found = _BLOCK.match(name)
    if not found:
        return name
    side, number, which, rest = found[1], int(found[2]), found[3], found[4]
    inner = _RESNET.get(rest, rest)
    if side == "middle":
        if number == 1:
            return f"mid_block_attentions_0_{rest}"
        return f"mid_block_resnets_{number // 2}_{inner}"
    kind = "attentions" if which == "1" else "resnets"
    if side == "input":
        level, place = divmod(number - 1, layers + 1)
        if rest == "op":
            return f"down_blocks_{level}_downsamplers_0_conv"
        return f"down_blocks_{level}_{kind}_{place}_{inner}"
    level, place = divmod(number, layers + 1)
    if rest == "conv":
        return f"up_blocks_{level}_upsamplers_0_conv"
    return f"up_blocks_{level}_{kind}_{place}_{inner}"


def _layers_per_block(checkpoint: Path) -> int:
    if checkpoint.is_file():
        return 2
    try:
        config = json.loads((checkpoint / "unet" / "config.json").read_text("utf-8"))
        layers = config.get("layers_per_block", 2)
    except (OSError, ValueError) as error:
        raise ModelError(f"{checkpoint.name}: unet/config.json cannot be read; copy it again.") from error
    return layers if isinstance(layers, int) else 2
