"""Model files of every kind, small: real safetensors with the keys and widths of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy
from safetensors.numpy import save_file

UNET = "model.diffusion_model."


def save(path: Path, shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None) -> Path:
    """A safetensors file with zeros of these shapes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: numpy.zeros(shape, numpy.float16) for name, shape in shapes.items()}
    save_file(tensors, path, metadata=metadata)
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


CLIP, OPEN_CLIP = "conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model."
PARTS: dict[str, tuple[int, ...]] = {
    "first_stage_model.encoder.down.0.block.0.conv2.weight": (2, 2, 3, 3),
    "first_stage_model.decoder.up.0.block.0.conv2.weight": (2, 2, 3, 3),
    "first_stage_model.quant_conv.weight": (8, 8, 1, 1),
    CLIP + "embeddings.token_embedding.weight": (9, 2),
    CLIP + "encoder.layers.11.mlp.fc1.weight": (2, 2),
    OPEN_CLIP + "token_embedding.weight": (9, 2),
    OPEN_CLIP + "transformer.resblocks.31.mlp.c_fc.weight": (2, 2),
    OPEN_CLIP + "text_projection": (2, 1280),
}
"""The other parts of a checkpoint, as far as a header tells whether they are there."""

SDXL = checkpoint_shapes(2048, 2816) | PARTS


def peft(module: str, width: int, out: int = 2) -> dict[str, tuple[int, ...]]:
    """One part of a LoRA of rank 4 as peft names it, for a module of these sizes."""
    return {f"unet.{module}.lora_A.weight": (4, width), f"unet.{module}.lora_B.weight": (out, 4)}


def kohya(width: int, prefix: str = "lora_unet_", **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    name = prefix + "input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    return {f"{name}.lora_down.weight": (4, width), f"{name}.lora_up.weight": (2, 4), **more}
