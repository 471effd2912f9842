"""Previews: a linear map from latents to RGB, without the VAE, in about a millisecond."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

SDXL_RGB = (
    (0.3651, 0.4232, 0.4341),
    (-0.2533, -0.0042, 0.1068),
    (0.1076, 0.1111, -0.0362),
    (-0.3165, -0.2492, -0.2188),
    (0.1084, -0.0175, -0.0011),
)
"""RGB in -1..1 = latents @ the first four rows + the last, for SDXL's own VAE."""

LONGEST = 384
"""Longer side of a preview in pixels."""


def latents_to_rgb(latents: torch.Tensor, rgb: Sequence[Sequence[float]] | None) -> Image.Image:
    """RGB image of clean latents (1, 4, h, w), its longer side at most `LONGEST` pixels.

    `rgb`: four rows of factors and one of bias; None = `SDXL_RGB`.
    """
    table = torch.tensor(rgb or SDXL_RGB, dtype=torch.float32)
    colours = latents[0].float().cpu().permute(1, 2, 0) @ table[:4] + table[4]
    pixels = (colours.nan_to_num().clamp(-1, 1) + 1) * 127.5
    small = Image.fromarray(pixels.round().to(torch.uint8).numpy(), "RGB")
    factor = min(8.0, LONGEST / max(small.size))
    size = (max(1, round(small.width * factor)), max(1, round(small.height * factor)))
    return small.resize(size, Image.Resampling.BICUBIC)


def fit_preview(latents: torch.Tensor, pictures: torch.Tensor) -> list[list[float]]:
    """Factors as in `SDXL_RGB` for another VAE, fitted to latents (n, 4, h, w) and their images
    (n, 3, 8h, 8w) in -1..1."""
    colours = torch.nn.functional.avg_pool2d(pictures.float(), 8).permute(0, 2, 3, 1).reshape(-1, 3)
    values = latents.float().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    known = torch.cat([values, torch.ones(len(values), 1)], dim=1)
    return torch.linalg.lstsq(known, colours).solution.tolist()
