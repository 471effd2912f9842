"""LoHa."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on, tucker


@dataclass(frozen=True)
class Hadamard(Change):
    """`scale` times (w1_a @ w1_b) ∘ (w2_a @ w2_b), the product of the entries (Hyeon-Woo et al. 2022,
    "FedPara"; Yeh et al. 2023, "LyCORIS").

    `w1_a`, `w2_a`: (out, rank); `w1_b`, `w2_b`: (rank, in x height x width). With the cores `t1`, `t2` (rank,
    rank, height, width) of a Tucker form: (rank, out) and (rank, in).
    """

    w1_a: torch.Tensor
    w1_b: torch.Tensor
    w2_a: torch.Tensor
    w2_b: torch.Tensor
    t1: torch.Tensor | None
    t2: torch.Tensor | None
    scale: float

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and is_any(*self.tensors)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        one, other = (
            on(weight, a) @ on(weight, b.flatten(1))
            if t is None
            else tucker(on(weight, t), on(weight, a), on(weight, b))
            for a, b, t in ((self.w1_a, self.w1_b, self.t1), (self.w2_a, self.w2_b, self.t2))
        )
        return (self.scale * one.reshape(weight.shape)) * other.reshape(weight.shape)
