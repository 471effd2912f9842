"""LoRAs that fit the starter checkpoint, made from the names in its header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
from safetensors.numpy import save

from webbduck_gradio.models.probe.safetensors_header import read_header

TARGETS = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")


def attention(checkpoint: Path) -> Iterator[tuple[str, int, int]]:
    """(module, width out, width in) of each attention layer of a checkpoint folder's UNet."""
    for file in sorted((checkpoint / "unet").glob("*.safetensors")):
        for key, tensor in read_header(file).tensors.items():
            if key.endswith(TARGETS):
                yield key.removesuffix(".weight"), tensor.shape[0], tensor.shape[1]


def lora_bytes(checkpoint: Path, metadata: dict[str, str] | None = None, scale: float = 0.1) -> bytes:
    """A LoRA of rank 2 on every attention layer of `checkpoint`, of the UNet only, as peft names it."""
    noise = numpy.random.default_rng(0)
    tensors = {}
    for module, out, into in attention(checkpoint):
        for part, shape in (("A", (2, into)), ("B", (out, 2))):
            values = noise.standard_normal(shape) * scale / 2
            tensors[f"unet.{module}.lora_{part}.weight"] = values.astype(numpy.float32)
    return save(tensors, metadata)


def make_lora(path: Path, checkpoint: Path, metadata: dict[str, str] | None = None) -> Path:
    """`lora_bytes` in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lora_bytes(checkpoint, metadata))
    return path
