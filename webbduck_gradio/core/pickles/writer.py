"""Writes tensors as a safetensors file, one after another, so that no second copy of them is in memory.

The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import BinaryIO

import torch

from .refusal import AGAIN, RefusedError

DTYPES: Mapping[torch.dtype, str] = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
}
CHUNK = 16 * 2**20
ALIGNMENT = 8


def total_bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    """Of their numbers, also where several lie in the same memory."""
    return sum(each.numel() * each.element_size() for each in tensors.values())


def write(
    file: BinaryIO,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    progress: Callable[[int], None],
) -> None:
    """Write the tensors as the safetensors library does: larger types first, then by name.

    `progress(bytes)` after each chunk. Raises `RefusedError` for a type that the format has not, and
    `OSError`.
    """
    for tensor in tensors.values():
        if tensor.dtype not in DTYPES:
            raise RefusedError(
                f"holds numbers of the type {tensor.dtype}, which safetensors has not; {AGAIN}"
            )
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for name in names:
        tensor = tensors[name]
        end = begin + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    written = 0
    for name in names:
        data = _bytes_of(tensors[name])
        for start in range(0, len(data), CHUNK):
            written += file.write(data[start : start + CHUNK])
            progress(written)
    file.flush()


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    if tensor.numel() == 0:
        return memoryview(b"")
    plain = tensor.resolve_conj().resolve_neg().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().data
