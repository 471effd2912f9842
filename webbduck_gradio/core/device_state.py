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
    policy: str
    loaded: str | None
    in_memory: list[str]
    versions: dict[str, str]
