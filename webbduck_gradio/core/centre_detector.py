"""The starter detector's network: a small detector without anchor boxes, which needs no extra package.

Each cell of its output finds at most one region. As in FCOS (Tian et al. 2019) a cell predicts the distances
to the region's four sides; as in CenterNet (Zhou et al. 2019) a class score is high only near a region's
middle. The output has YOLO v8's layout, so that one decoder reads both.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import ModelError

STRIDE = 8
"""Side of an output cell in input pixels."""
_GROUPS = 8


def _layer(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.GroupNorm(_GROUPS, outer), nn.SiLU()
    )


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(_layer(width, width), _layer(width, width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.body(features)


class CentreDetector(nn.Module):
    """Maps RGB (n, 3, h, w) in 0..1, sides divisible by 32, to (n, 4 + classes, cells).

    The first four rows are a box's centre, width and height in input pixels; the others are its class scores
    in 0..1. Cells go row by row, each `STRIDE` pixels wide. `widths` are the channels at strides 8, 16
    and 32.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int] = (64, 96, 128)):
        super().__init__()
        fine, middle, coarse = widths
        self.fine = nn.Sequential(
            _layer(3, 16, 2), _layer(16, fine // 2, 2), _layer(fine // 2, fine, 2), _Residual(fine)
        )
        self.middle = nn.Sequential(_layer(fine, middle, 2), _Residual(middle))
        self.coarse = nn.Sequential(_layer(middle, coarse, 2), _Residual(coarse))
        self.to_middle, self.to_fine = nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)
        self.join_middle, self.join_fine = _layer(middle, middle), _layer(fine, fine)
        self.head = nn.Sequential(_layer(fine, fine), nn.Conv2d(fine, 4 + classes, 1))

    def raw(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 4 + classes, h / 8, w / 8): logarithms of the distances to left, top, right and bottom in
        cells, and class scores before the sigmoid."""
        fine = self.fine(pixels)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.join_middle(middle + F.interpolate(self.to_middle(coarse), scale_factor=2.0))
        fine = self.join_fine(fine + F.interpolate(self.to_fine(middle), scale_factor=2.0))
        found: torch.Tensor = self.head(fine)
        return found

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        raw = self.raw(pixels).float()
        left, top, right, bottom = raw[:, :4].clamp(-8, 8).exp().mul(STRIDE).unbind(1)
        rows, columns = raw.shape[2:]
        x = (torch.arange(columns, device=raw.device) + 0.5) * STRIDE
        y = ((torch.arange(rows, device=raw.device) + 0.5) * STRIDE)[:, None]
        boxes = torch.stack(
            [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom], dim=1
        )
        return torch.cat([boxes, raw[:, 4:].sigmoid()], dim=1).flatten(2)


def from_state(state: Mapping[str, torch.Tensor]) -> CentreDetector:
    """The network with these weights, in float32.

    Raises `ModelError` if their shapes are not this network's.
    """
    try:
        fine, middle = (state[f"join_{name}.0.weight"].shape[0] for name in ("fine", "middle"))
        coarse = state["to_middle.weight"].shape[1]
        network = CentreDetector(state["head.1.weight"].shape[0] - 4, (fine, middle, coarse))
        network.load_state_dict({name: values.float() for name, values in state.items()})
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            "The shapes of the detector's weights are inconsistent; get the file again."
        ) from error
    return network.eval()
