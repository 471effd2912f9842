"""GLoRA."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on
from .low_rank import LowRank, TuckerLowRank


@dataclass(frozen=True)
class Generalised(Change):
    """`scale` times (W @ first @ second + what `added` adds) (Chavan et al. 2023, "One-for-All: Generalized
    LoRA").

    `first`: (in, rank[, 1, 1]); `second`: (rank, in[, 1, 1]). `added`: of scale 1.
    """

    first: torch.Tensor
    second: torch.Tensor
    added: LowRank | TuckerLowRank
    scale: float

    @property
    def is_finite(self) -> bool:
        return super().is_finite and self.added.is_finite

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and (is_any(self.first, self.second) or self.added.has_effect)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        first, second = (on(weight, each.flatten(1)) for each in (self.first, self.second))
        # The inputs last, where a matrix multiplies them.
        mixed = (weight.movedim(1, -1) @ first @ second).movedim(-1, 1)
        return self.scale * (mixed + self.added.delta(weight))
