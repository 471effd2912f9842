"""What the core says about the device. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True)
class DeviceChoice:
    """What the user chose about the device; it holds from the next job on."""

    memory: str | None = None
    """Memory policy, one of `settings.MEMORY`; None = chosen by free memory and size for each job."""
    compiled: bool = False
    """Whether the UNet is compiled."""


class DeviceState(TypedDict, total=False):
    """Device, memory in bytes, loaded checkpoints and package versions. Until a job has loaded torch,
    "device" is "starting", and only the memory and the choices are known."""

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
    """Memory policy of the last job, or of the next one while there was none."""
    memory: str | None
    """Memory policy that the user chose; None = automatic."""
    compiled: bool
    """Whether the user chose that the UNet is compiled."""
    compile_problem: str | None
    """Why it is not compiled although that was chosen, as a sentence."""
    loaded: str | None
    """Name of the checkpoint that was used or loaded last, if it is still in memory."""
    in_memory: list[str]
    versions: dict[str, str]
    libraries: dict[str, str]
    """Versions of the device's own libraries: "cuda" and "cudnn", or "hip"."""
