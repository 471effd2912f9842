"""Whole differences: of weights, biases and the layers that normalise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on


@dataclass(frozen=True)
class Difference(Change):
    """`scale` times what the file holds for each number (LyCORIS' "full", its norms, and biases).

    `difference`: of the shape of what it changes, or with as many numbers.
    """

    difference: torch.Tensor
    scale: float = 1.0

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and is_any(self.difference)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        found = on(weight, self.difference).view(weight.shape)
        return found if self.scale == 1 else found * self.scale
