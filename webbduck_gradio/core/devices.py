"""The device, and its precision and memory."""

from __future__ import annotations

import errno
import gc
import logging
import traceback
from typing import Any

import psutil
import torch

from ..errors import SettingsError
from .cards import Card, precision_for
from .memory_needs import TILE

log = logging.getLogger(__name__)


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def name_of(dtype: torch.dtype) -> str:
    """As in `PRECISIONS`: "float32"."""
    return str(dtype).removeprefix("torch.")


def best_device() -> str:
    """'cuda', 'xpu', 'mps' or 'cpu': the fastest one available."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.xpu.is_available():
        return "xpu"
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


def prepare(device: str) -> None:
    """Make this the calling thread's current device, and results repeatable: cuDNN would otherwise take the
    algorithm that is fastest at the moment."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    found = torch.device(device)
    if found.index is not None and found.type in ("cuda", "xpu"):
        torch.get_device_module(found).set_device(found)


def libraries(device: str) -> dict[str, str]:
    """Versions of the device's own libraries, by which single pixels can differ."""
    if torch.device(device).type != "cuda":
        return {}
    if torch.version.hip:
        return {"hip": torch.version.hip}
    return {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}


def chosen_dtype(card: Card, asked: str | None = None, is_large: bool = False) -> torch.dtype:
    """The precision of a model; `asked` is one of `PRECISIONS`, None = `cards.precision_for`."""
    return precision_for(card, is_large) if asked is None else PRECISIONS[asked]


def budget(card: Card) -> int:
    """Bytes that all checkpoints may take together."""
    return int(card.total * (0.5 if card.kind in ("cpu", "mps") else 0.75))


def free_bytes(device: str) -> int:
    """Bytes that can still be allocated on the device."""
    found = torch.device(device)
    available = psutil.virtual_memory().available
    if found.type in ("cuda", "xpu"):
        module = torch.get_device_module(found)
        reserved = module.memory_reserved(found)
        try:
            free = module.mem_get_info(found)[0]
        except RuntimeError:  # some of Intel's drivers do not tell
            free = module.get_device_properties(found).total_memory - reserved
        # Memory that torch has reserved but not allocated is free too.
        return int(free + reserved - module.memory_allocated(found))
    if found.type == "mps":
        return min(available, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return available


SHORTAGES = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "OUT_OF_DEVICE_MEMORY",
    "ERROR_OUT_OF_RESOURCES",  # Intel's
    "Invalid buffer size",  # Metal
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # its workspace did not fit
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "nable to find an engine to execute this computation",  # none whose workspace fits
    "nable to find a valid cuDNN algorithm",
    "HIPBLAS_STATUS_ALLOC_FAILED",
)
"""Of the messages of `RuntimeError` where memory ran out: the CPU's, Apple's and Intel's allocators raise no
class of their own, and NVIDIA's libraries say no more."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # a file that cannot be mapped
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in SHORTAGES)


def log_shortage(what: str) -> None:
    """Log the error being handled as text: a logged exception's frames would keep its tensors alive."""
    log.error("Memory ran out while %s\n%s", what, traceback.format_exc())


def empty_cache(device: str) -> None:
    """Return unreferenced memory to the system."""
    gc.collect()  # pipelines and their views reference each other
    found = torch.device(device)
    if found.type == "cuda":
        with torch.cuda.device(found):
            torch.cuda.empty_cache()
    elif found.type == "xpu":
        torch.xpu.empty_cache()
    elif found.type == "mps":
        torch.mps.empty_cache()


def set_vae_tiling(vae: Any, on: bool) -> None:
    """Decode and encode pictures above `TILE` pixels in tiles of that size, or all in one piece."""
    if not on:
        vae.disable_tiling()
        return
    # The default threshold is the training size, so an image of 1024 pixels would not be tiled.
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = TILE, TILE // 8
