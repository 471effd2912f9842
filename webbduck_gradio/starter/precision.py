"""The precision of the trainings and of the classifier that measures them."""

from __future__ import annotations

import torch


def autocast() -> torch.autocast:
    """bfloat16 where the CPU multiplies it; elsewhere it is emulated, ten times as slow as float32."""
    return torch.autocast(
        "cpu",
        dtype=torch.bfloat16,
        enabled=torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    )
