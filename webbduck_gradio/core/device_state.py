"""What the core says about the device. Does not import torch."""

from __future__ import annotations

from typing import TypedDict


class DeviceState(TypedDict, total=False):
    """Device, memory in bytes, loaded checkpoints and package versions. Until a job has loaded torch,
    "device" is "starting", and only the memory is known."""

    device: str
    name: str
    threads: int
    memory_used: int
    memory_total: int
    dtype: str
    """Precision of the checkpoint in "loaded"; of small ones while there is none."""
    dtypes: dict[str, str]
    """Precision that checkpoints are loaded in: "small", and "large" (`Checkpoint.is_large`)."""
    policy: str
    loaded: str | None
    """Name of the checkpoint that was used or loaded last, if it is still in memory."""
    in_memory: list[str]
    versions: dict[str, str]
    libraries: dict[str, str]
    """Versions of the device's own libraries: "cuda" and "cudnn", or "hip"."""
