"""OFT and BOFT: rotations of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Change, is_any, on


@dataclass(frozen=True)
class Rotation(Change):
    """(R - 1) times the weights, with a block-diagonal orthogonal matrix R (Qiu et al. 2023, "OFT"), or a
    product of such in butterfly form (Liu et al. 2024, "BOFT"), as kohya's and LyCORIS' trainers have them.

    Each block is Cayley's (1 + Q) (1 - Q)^-1 of Q = B - B^T.

    `blocks`: (number, size, size), B; for BOFT (factors, number, size, size). `constraint`: largest norm of
    all of Q together; 0 = none. `rescale`: (out, 1, ...), by which the rotated weights are multiplied.
    """

    blocks: torch.Tensor
    rescale: torch.Tensor | None
    constraint: float

    @property
    def has_effect(self) -> bool:
        return self.rescale is not None or is_any(self.blocks)

    def delta(self, weight: torch.Tensor) -> torch.Tensor:
        blocks = self._orthogonal(on(weight, self.blocks))
        rows = weight.flatten(1)
        if blocks.ndim == 3:
            # The trainers multiply the output, as a row, from the right.
            rows = torch.bmm(blocks.transpose(1, 2), rows.view(*blocks.shape[:2], -1)).flatten(0, 1)
        else:
            for level, factor in enumerate(blocks):
                rows = _butterfly(factor, rows, level)
        if self.rescale is not None:
            rows = rows * on(weight, self.rescale).view(-1, 1)
        return rows.view(weight.shape) - weight

    def _orthogonal(self, blocks: torch.Tensor) -> torch.Tensor:
        skew = blocks - blocks.transpose(-1, -2)
        if self.constraint > 0 and (norm := skew.norm()) > self.constraint:
            skew = skew * (self.constraint / norm)
        one = torch.eye(skew.shape[-1], device=skew.device)
        # The two factors commute, so that the inverse may stand on either side.
        return torch.linalg.solve(one - skew, one + skew)


def _butterfly(factor: torch.Tensor, rows: torch.Tensor, level: int) -> torch.Tensor:
    """One factor of BOFT: blocks of rows that lie 2^level x size / 2 apart are mixed.

    `factor`: (number, size, size); `rows`: (out, ...).
    """
    number, size, _ = factor.shape
    apart = 2**level * (size // 2)
    mixed = rows.view(-1, 2, apart, rows.shape[1]).transpose(1, 2).reshape(number, size, -1)
    mixed = torch.bmm(factor, mixed)
    return mixed.view(-1, apart, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)
