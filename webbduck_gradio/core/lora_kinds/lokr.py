"""LoKr."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on, tucker


@dataclass(frozen=True)
class Kronecker(Change):
    """`scale` times the Kronecker product of w1 and w2 (Edalati et al. 2022, "KronA"; Yeh et al. 2023,
    "LyCORIS").

    w1 (out1, in1) is `w1`, or `w1_a` @ `w1_b`; w2 (out2, in2 x height x width) is `w2`, `w2_a` @ `w2_b`, or
    with the core `t2` (rank, rank, height, width) a Tucker form of `w2_a` (rank, out2) and `w2_b` (rank,
    in2).
    """

    w1: torch.Tensor | None
    w1_a: torch.Tensor | None
    w1_b: torch.Tensor | None
    w2: torch.Tensor | None
    w2_a: torch.Tensor | None
    w2_b: torch.Tensor | None
    t2: torch.Tensor | None
    scale: float

    @property
    def has_effect(self) -> bool:
        return bool(self.scale) and is_any(*self.tensors)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        one = _matrix(weight, self.w1, self.w1_a, self.w1_b, None)
        other = _matrix(weight, self.w2, self.w2_a, self.w2_b, self.t2)
        return self.scale * torch.kron(one, other.flatten(1)).reshape(weight.shape)


def _matrix(
    weight: torch.Tensor,
    whole: torch.Tensor | None,
    a: torch.Tensor | None,
    b: torch.Tensor | None,
    core: torch.Tensor | None,
) -> torch.Tensor:
    if whole is not None:
        return on(weight, whole)
    assert a is not None and b is not None
    if core is not None:
        return tucker(on(weight, core), on(weight, a), on(weight, b))
    return on(weight, a) @ on(weight, b.flatten(1))
