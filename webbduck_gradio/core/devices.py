"""Device, precision and memory policy."""

from __future__ import annotations

import errno
import gc
import logging
import traceback
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from ..errors import SettingsError

log = logging.getLogger(__name__)

GIB = 2**30


@dataclass(frozen=True)
class MemoryPolicy:
    """How memory is saved. Each policy is slower than the previous one and gives the same composition."""

    name: str
    tiled: bool = False
    """Whether the VAE works on tiles of 512 pixels."""
    offload: bool = False
    """Whether idle modules are moved to main memory."""


RESIDENT = MemoryPolicy("resident")
TILED = MemoryPolicy("tiled", tiled=True)
OFFLOAD = MemoryPolicy("offload", tiled=True, offload=True)
POLICIES = (RESIDENT, TILED, OFFLOAD)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def name_of(dtype: torch.dtype) -> str:
    """As in `PRECISIONS`: "float32"."""
    return str(dtype).removeprefix("torch.")


def best_device() -> str:
    """'cuda', 'mps' or 'cpu': the fastest one available."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def chosen_device(asked: str | None) -> str:
    """The device to use; None = the fastest. Raises `SettingsError` if it is not available."""
    if asked is None:
        return best_device()
    try:
        torch.empty(1, device=asked)
    except (RuntimeError, AssertionError, AttributeError):
        raise SettingsError(
            f"--device {asked} is not available on this computer; leave it out to use {best_device()}."
        ) from None
    return asked


def chosen_dtype(device: str, asked: str | None = None, is_large: bool = False) -> torch.dtype:
    """The precision of a model: half, except on the CPU, where float16 is unusably slow.

    There large models are loaded in bfloat16 if the processor multiplies it in hardware: in half the memory,
    and faster than in float32.
    """
    if asked is not None:
        return PRECISIONS[asked]
    if torch.device(device).type != "cpu":
        return torch.float16
    return torch.bfloat16 if is_large and has_bfloat16() else torch.float32


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 whose gain is known: AVX-512 BF16 or AMX."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def chosen_policy(device: str, asked: str | None = None) -> MemoryPolicy:
    """The memory policy to use; None = chosen by the free memory."""
    if asked is not None:
        return next(each for each in POLICIES if each.name == asked)
    kind = torch.device(device).type
    if kind == "cuda":
        return by_free_memory(torch.cuda.mem_get_info(device)[0])
    return TILED if kind == "mps" else RESIDENT


def by_free_memory(free: int) -> MemoryPolicy:
    """The policy for a GPU with `free` bytes: an SDXL checkpoint takes 7 GB in half precision, decoding
    1024 x 1024 pixels up to 4 GB more."""
    return RESIDENT if free >= 11 * GIB else TILED if free >= 9 * GIB else OFFLOAD


def budget(device: str) -> int:
    """Bytes that all checkpoints may take together."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * 0.75)
    return psutil.virtual_memory().total // 2


def free_bytes(device: str) -> int:
    """Bytes that can still be allocated on the device."""
    if torch.device(device).type == "cuda":
        # Memory that torch has reserved but not allocated is free too.
        return torch.cuda.mem_get_info(device)[0] + (
            torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        )
    return psutil.virtual_memory().available


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; the CPU's and Apple's allocators raise a plain RuntimeError."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # a file that cannot be mapped
        return True
    return isinstance(error, RuntimeError) and any(
        mark in str(error)
        for mark in (
            "can't allocate memory",
            "not enough memory",
            "out of memory",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_ALLOC_FAILED",
        )
    )


def log_shortage(what: str) -> None:
    """Log the error being handled as text: a logged exception's frames would keep its tensors alive."""
    log.error("Memory ran out while %s\n%s", what, traceback.format_exc())


def empty_cache(device: str) -> None:
    """Return unreferenced memory to the system."""
    gc.collect()  # pipelines and their views reference each other
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


def set_vae_tiling(vae: Any, on: bool) -> None:
    """Decode and encode in tiles of 512 pixels, or in one piece."""
    if not on:
        vae.disable_tiling()
        return
    # The default threshold is the training size, so an image of 1024 pixels would not be tiled.
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = 512, 64
