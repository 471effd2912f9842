"""Real-ESRGAN's compact network (SRVGGNetCompact), the one upscaling architecture that needs no extra
package.

All convolutions run at the input's size; the last one yields scale x scale pixels for each pixel, added to
the enlarged input. Such files are common, and the bundled upscaler is one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import ModelError


class Compact(nn.Module):
    """`width` channels, `depth` inner convolutions; maps (n, 3, h, w) to (n, 3, scale * h, scale * w), in
    0..1."""

    def __init__(self, width: int = 32, depth: int = 8, scale: int = 2):
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise((3, *[width] * (depth + 1))):
            layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.PReLU(outer)]
        layers.append(nn.Conv2d(width, 3 * scale * scale, 3, padding=1))
        self.body = nn.ModuleList(layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        residual = pixels
        for layer in self.body:
            residual = layer(residual)
        enlarged = F.interpolate(pixels, scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(residual, self.scale) + enlarged

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


def from_state(state: Mapping[str, torch.Tensor]) -> Compact:
    """The network with these weights, for which `models.upscalers.is_compact` holds, by their bare names.

    Raises `ModelError` if their shapes are inconsistent.
    """
    count = 1 + max(int(key.split(".")[1]) for key in state)
    network = Compact(
        width=state["body.0.weight"].shape[0],
        depth=(count - 3) // 2,
        scale=math.isqrt(state[f"body.{count - 1}.weight"].shape[0] // 3),
    )
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise ModelError(
            "The shapes of the upscaler's weights are inconsistent; get the file again."
        ) from error
    return network.eval()
