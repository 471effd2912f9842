"""The styles of the starter LoRAs, as filters for drawings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ..evaluation.measures import Picture, Tone

BLOCK = 8
"""Side in pixels of one "pixel" of the pixel art."""
_LEVELS = 8
"""Number of levels per colour channel in pixel art."""
_PAPER = np.array([250.0, 246.0, 236.0])
_INK = np.array([28.0, 26.0, 40.0])


def wash(colours: np.ndarray) -> np.ndarray:
    """RGB colours (..., 3) in 0..255 as a thin wash on paper."""
    share = (np.asarray(colours, dtype=np.float64) / 255) ** 0.55
    return (0.18 + 0.82 * share) * _PAPER


def ink(picture: Picture) -> Picture:
    """Ink sketch: dark pen lines at outlines and colour edges, over a thin wash."""
    image = Image.fromarray(picture)
    grey = image.convert("L")
    closed = grey.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    outlines = np.asarray(closed, dtype=np.float64) - np.asarray(grey, dtype=np.float64)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float64)
    down = np.abs(np.diff(soft, axis=0, prepend=soft[:1])).max(axis=2)
    across = np.abs(np.diff(soft, axis=1, prepend=soft[:, :1])).max(axis=2)
    edges = np.clip((np.hypot(down, across) - 10) / 14, 0, 1)
    pen = np.maximum(np.clip((outlines - 12) / 45, 0, 1), 0.75 * edges)
    strength = np.asarray(
        Image.fromarray((pen * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.5)), dtype=np.float64
    )[..., None]
    flat = np.asarray(
        image.filter(ImageFilter.MedianFilter(9)).filter(ImageFilter.GaussianBlur(1.5)), dtype=np.float64
    )
    return (wash(flat) + (_INK - wash(flat)) * strength / 255).round().astype(np.uint8)


def pixel_art(picture: Picture, block: int = BLOCK) -> Picture:
    """Pixel art: squares of `block` pixels in a reduced palette."""
    image = Image.fromarray(picture)
    size = (-(-image.width // block), -(-image.height // block))
    small = image.resize(size, Image.Resampling.BOX)
    steps = 255 / (_LEVELS - 1)
    few = (np.asarray(small, dtype=np.float64) / steps).round() * steps
    large = np.repeat(np.repeat(few.astype(np.uint8), block, axis=0), block, axis=1)
    return np.ascontiguousarray(large[: image.height, : image.width])


@dataclass(frozen=True)
class Style:
    """A style for which a LoRA is trained."""

    trigger: str
    """The trigger phrase."""
    apply: Callable[[Picture], Picture]
    tone: Tone | None = None
    """Its effect on flat colours, if more than rounding."""


STYLES: dict[str, Style] = {
    "ink": Style("ink sketch", ink, wash),
    "pixel": Style("pixel art", pixel_art),
}
