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


SDXL = checkpoint_shapes(2048, 2816)


def kohya(width: int, prefix: str = "lora_unet_", **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    name = prefix + "input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    return {f"{name}.lora_down.weight": (4, width), f"{name}.lora_up.weight": (8, 4), **more}
