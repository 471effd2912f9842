"""What all kinds of changes have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Change(ABC):
    """What a LoRA does to one tensor of a checkpoint, its weights or its bias.

    A strength s adds s times `delta`, whatever the kind. Where deltas depend on the checkpoint's own weights,
    those are meant, also if several LoRAs change them.
    """

    @property
    def tensors(self) -> Iterator[torch.Tensor]:
        """Those of the file."""
        values = (getattr(self, field.name) for field in fields(self))
        return (each for each in values if isinstance(each, torch.Tensor))

    @property
    def is_finite(self) -> bool:
        """Whether it contains neither NaN nor infinity."""
        return all(bool(widened(each).isfinite().all()) for each in self.tensors)

    @property
    @abstractmethod
    def has_effect(self) -> bool:
        """False only if its delta is zero for all weights."""

    @abstractmethod
    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        """What is added to the weights at a strength of 1: in float32, of their shape and on their device.

        `weight`: the checkpoint's own, in float32; not changed.
        """


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """In float32 if its numbers have 8 bits, for which torch computes little."""
    return tensor.float() if tensor.element_size() == 1 else tensor


def is_any(*tensors: torch.Tensor) -> bool:
    """Whether each of them has a number other than zero."""
    return all(bool(widened(each).any()) for each in tensors)


def on(weight: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """In float32, on the device of the weights."""
    return tensor.float().to(weight.device)


def tucker(core: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The matrix of a Tucker decomposition: sum over i and j of core[i, j, ...] left[i, p] right[j, r].

    `core`: (i, j, height, width); `left`: (i, p); `right`: (j, r). (p, r, height, width).
    """
    return torch.einsum("ijkl,ip,jr->prkl", core, left, right)
