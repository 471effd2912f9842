"""DoRA."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, on


@dataclass(frozen=True)
class Normalised(Change):
    """Another change's weights W + ΔW, with these norms of their rows or columns (Liu et al. 2024, "DoRA").

    `norms`: one for each output (`axis` 0) or each input (`axis` 1). The norms that are replaced are those of
    W + ΔW on both axes, as in the paper and in LyCORIS' and peft's trainers.
    """

    inner: Change
    norms: torch.Tensor
    axis: int

    @property
    def is_finite(self) -> bool:
        return super().is_finite and self.inner.is_finite

    @property
    def has_effect(self) -> bool:
        return True

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        changed = weight + self.inner.delta(weight)
        others = [axis for axis in range(weight.ndim) if axis != self.axis]
        norms = torch.linalg.vector_norm(changed, dim=others, keepdim=True)
        wanted = on(weight, self.norms).view(norms.shape)
        return changed * (wanted / (norms + torch.finfo(torch.float32).eps)) - weight
