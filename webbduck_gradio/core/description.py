"""What the core tells of its device, its memory and its loaded checkpoints."""

from __future__ import annotations

import psutil
import torch

from . import devices
from .checkpoint_cache import CheckpointCache
from .device_state import DeviceChoice, DeviceState
from .origin import versions


def describe(pipelines: CheckpointCache, choice: DeviceChoice, threads: int) -> DeviceState:
    """Device, memory in bytes, loaded checkpoints and package versions."""
    device, card = torch.device(pipelines.device), pipelines.card
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        used = total - free
    else:
        main = psutil.virtual_memory()
        used, total = main.total - main.available, main.total
    in_use, names = pipelines.in_use, pipelines.names
    small, large = (devices.name_of(pipelines.dtype_of(is_large)) for is_large in (False, True))
    return {
        "device": pipelines.device,
        "name": card.name,
        "threads": threads,
        "memory_used": used,
        "memory_total": total,
        "dtype": in_use[-1].dtype if in_use else small,
        "dtypes": {"small": small, "large": large},
        "policy": pipelines.policy.name,
        "memory": choice.memory,
        "compiled": choice.compiled,
        "compile_problem": pipelines.compile_problem,
        "loaded": names[-1] if names else None,
        "in_memory": names,
        "versions": versions(),
        "libraries": devices.libraries(pipelines.device),
    }
