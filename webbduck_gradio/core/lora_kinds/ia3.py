"""(IA)3."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on, widened


@dataclass(frozen=True)
class Rescaling(Change):
    """Rows or columns of the weights, each times a factor (Liu et al. 2022, "Few-Shot Parameter-Efficient
    Fine-Tuning", (IA)3).

    `factors`: one for each input if `on_input`, else for each output; LyCORIS' are differences from 1
    (`is_difference`), peft's are whole.
    """

    factors: torch.Tensor
    on_input: bool
    is_difference: bool

    @property
    def has_effect(self) -> bool:
        return is_any(self.factors if self.is_difference else widened(self.factors) - 1)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        factors = on(weight, self.factors).flatten()
        axes = [1] * weight.ndim
        axes[1 if self.on_input else 0] = len(factors)
        return weight * (factors if self.is_difference else factors - 1).view(axes)
