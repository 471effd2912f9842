"""Whether a LoRA's attention parts are in a checkpoint, told by the names in both headers.

Names are compared as diffusers gives them, with `_` for `.`; kohya's files may use the original numbering of
blocks instead. Convolutions and text encoders are compared when the LoRA is loaded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..errors import ModelError
from .header import Header, read_header
from .inspect import UNET, weight_files

_ENDING = re.compile(
    r"(\.lora_down|\.lora_up|\.lora_[AB]|[._]lora\.down|[._]lora\.up|\.lora_linear_layer\.\w+|\.alpha)\b.*$"
)
_PROCESSOR = re.compile(r"_processor(?=_|$)")
_BLOCK = re.compile(r"(input|output|middle)_blocks?_(\d+)_(?:(\d+)_)?(.*)$")


def missing_parts(lora: Path, checkpoint: Path) -> tuple[int, int]:
    """(attention parts of the LoRA that the checkpoint has not, attention parts of the LoRA)."""
    layers = _layers_per_block(checkpoint)
    there = checkpoint_modules(checkpoint, layers)
    wanted = lora_modules(read_header(lora), layers)
    return (len(wanted - there) if there else 0), len(wanted)


def lora_modules(header: Header, layers: int) -> set[str]:
    """The UNet's attention modules that a LoRA changes."""
    names = set()
    for key in header.tensors:
        name = _ENDING.sub("", key)
        if name == key or "transformer_blocks" not in name:
            continue
        if name.startswith("lora_unet_"):
            names.add(diffusers_name(name.removeprefix("lora_unet_"), layers))
        elif name.startswith("unet."):
            names.add(_PROCESSOR.sub("", name.removeprefix("unet.").replace(".", "_")))
    return names


def checkpoint_modules(path: Path, layers: int) -> set[str]:
    """The UNet's attention modules of a checkpoint, file or folder."""
    files = weight_files(path / "unet") if path.is_dir() else [path]
    names = set()
    for file in files:
        for key in read_header(file).tensors:
            if "transformer_blocks" not in key or not key.endswith(".weight"):
                continue
            if path.is_file() and not key.startswith(UNET):
                continue
            flat = key.removeprefix(UNET).removesuffix(".weight").replace(".", "_")
            names.add(diffusers_name(flat, layers))
            # to_out holds its layer at 0; some files leave that away.
            names.add(diffusers_name(flat, layers).removesuffix("_to_out_0") + "_to_out")
    return names


def diffusers_name(name: str, layers: int) -> str:
    """'input_blocks_4_1_x' -> 'down_blocks_1_attentions_0_x' for `layers` layers in each block."""
    found = _BLOCK.match(name)
    if not found:
        return name
    side, number, rest = found[1], int(found[2]), found[4]
    if side == "middle":
        return f"mid_block_attentions_0_{rest}"
    if side == "input":
        level, place = divmod(number - 1, layers + 1)
        return f"down_blocks_{level}_attentions_{place}_{rest}"
    level, place = divmod(number, layers + 1)
    return f"up_blocks_{level}_attentions_{place}_{rest}"


def _layers_per_block(checkpoint: Path) -> int:
    if checkpoint.is_file():
        return 2
    try:
        config = json.loads((checkpoint / "unet" / "config.json").read_text("utf-8"))
        layers = config.get("layers_per_block", 2)
    except (OSError, ValueError) as error:
        raise ModelError(f"{checkpoint.name}: unet/config.json cannot be read; copy it again.") from error
    return layers if isinstance(layers, int) else 2
