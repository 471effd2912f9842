"""LoRA, LoCon and its Tucker form."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on, tucker


@dataclass(frozen=True)
class LowRank(Change):
    """`scale` times `up` @ `down` (Hu et al. 2021, "LoRA"); of convolutions too (LoCon).

    `down`: (rank, in) or (rank, in, height, width); `up`: (out, rank) or (out, rank, 1, 1).
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and is_any(self.down, self.up)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        up, down = (on(weight, each.flatten(1)) for each in (self.up, self.down))
        return (up * self.scale @ down).view(weight.shape)


@dataclass(frozen=True)
class TuckerLowRank(Change):
    """`scale` times up x mid x down, a convolution in Tucker form (Yeh et al. 2023, "LyCORIS", section 3.2).

    `up`: (out, rank[, 1, 1]); `mid`: (rank, rank, height, width); `down`: (rank, in[, 1, 1]).
    """

    down: torch.Tensor
    mid: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and is_any(self.down, self.mid, self.up)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        up, down = (on(weight, each.flatten(1)) for each in (self.up, self.down))
        return self.scale * tucker(on(weight, self.mid), up.T, down).reshape(weight.shape)
