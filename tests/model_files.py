"""Model files of every kind, small: real safetensors with the keys and widths of the real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webbduck_gradio.models.probe import single_file_config

UNET = "model.diffusion_model."


BYTES = {"F64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2}
"""Of a number in each format; 1 for those that are not here."""


def save(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    metadata: Mapping[str, Any] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> Path:
    """A safetensors file with zeros of these shapes, as holes of the file; float16 or as `dtypes` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, shape in shapes.items():
        dtype = (dtypes or {}).get(name, "F16")
        end = at + math.prod(shape) * BYTES.get(dtype, 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


def checkpoint_shapes(
    width: int, label: int | None, channels: int = 4, depth: int = 10
) -> dict[str, tuple[int, ...]]:
    """The keys that tell an architecture in the original layout; `width` of the cross-attention."""
    shapes: dict[str, tuple[int, ...]] = {
        UNET + "input_blocks.0.0.weight": (2, channels, 3, 3),
        UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (2, width),
    }
    if label:
        shapes[UNET + "label_emb.0.0.weight"] = (2, label)
    for index in range(depth):
        shapes[UNET + f"input_blocks.7.1.transformer_blocks.{index}.norm1.weight"] = (2,)
    return shapes


def whole_sdxl(**unet: Any) -> dict[str, tuple[int, ...]]:
    """Every tensor of a narrow SDXL checkpoint in the original layout; `unet`: changes of its UNet."""
    levels = 4
    text = {"num_hidden_layers": 3, "num_attention_heads": 1, "intermediate_size": 64, "vocab_size": 49408}
    text |= {"max_position_embeddings": 77}
    parts: dict[str, Any] = {
        "unet": {
            "addition_time_embed_dim": 8,
            "attention_head_dim": [1, 1, 1],
            "block_out_channels": [32, 32, 64],
            "cross_attention_dim": 96,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "in_channels": 4,
            "layers_per_block": 2,
            "out_channels": 4,
            "projection_class_embeddings_input_dim": 64 + 6 * 8,
            "transformer_layers_per_block": [1, 1, 1],
            "use_linear_projection": True,
        }
        | unet,
        "vae": {
            "block_out_channels": [32] * levels,
            "in_channels": 3,
            "latent_channels": 4,
            "layers_per_block": 1,
            "out_channels": 3,
        },
        "text_encoder": text | {"hidden_size": 32, "projection_dim": 32},
        "text_encoder_2": text | {"hidden_size": 64, "projection_dim": 64},
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for each in single_file_config.tensors(parts, refiner=False).values():
        shapes |= each
    return shapes


SDXL = whole_sdxl()


def peft(module: str, width: int, out: int = 2) -> dict[str, tuple[int, ...]]:
    """One part of a LoRA of rank 4 as peft names it, for a module of these sizes."""
    return {f"unet.{module}.lora_A.weight": (4, width), f"unet.{module}.lora_B.weight": (out, 4)}


def kohya(width: int, prefix: str = "lora_unet_", **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    name = prefix + "input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    return {f"{name}.lora_down.weight": (4, width), f"{name}.lora_up.weight": (2, 4), **more}
