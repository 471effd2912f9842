"""One number per style for how strongly an image has it; tested on drawings with known results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from ..drawing.styles import BLOCK
from .measures import Picture, to_lab


def pen_contrast(picture: Picture) -> float:
    """Contrast of thin dark lines: the mean black top-hat, in grey values 0..255.

    A morphological closing with 9 x 9 pixels removes thinner dark structures, which are pen lines.
    """
    grey = Image.fromarray(picture).convert("L")
    closed = grey.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    return float((np.asarray(closed, dtype=np.float64) - np.asarray(grey, dtype=np.float64)).mean())


def chroma(picture: Picture) -> float:
    """Mean distance from grey in L*a*b*, 0..about 100."""
    lab = to_lab(picture)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def blockiness(picture: Picture, block: int = BLOCK) -> float:
    """Mean step between neighbouring pixels at the borders of `block` x `block` squares, relative to
    elsewhere.

    About 1 for ordinary images, high if the image consists of such squares.
    """
    grey = picture.astype(np.float64).mean(axis=2)
    borders, inside = [], []
    for steps in (np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1)).T):
        at_border = np.arange(1, len(steps) + 1) % block == 0
        borders.append(steps[at_border].mean())
        inside.append(steps[~at_border].mean())
    return float(np.mean(borders) / (np.mean(inside) + 0.25))


MEASURES: dict[str, tuple[str, Callable[[Picture], float]]] = {
    "ink": ("pen contrast", pen_contrast),
    "pixel": ("blockiness", blockiness),
}
"""Style -> (name of its measure, measure). Higher is more of the style."""
