"""How much of a style a picture has, as one number for each style; tested on drawings with known answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from ..drawing.styles import BLOCK
from .measures import Picture, to_lab


def pen_contrast(picture: Picture) -> float:
    """How much darker thin lines are than what surrounds them: the mean black top-hat, in grey values 0..255.

    Closing a picture (brightest, then darkest of 9 by 9 pixels) removes dark things thinner than that; what
    it removed is what a pen drew.
    """
    grey = Image.fromarray(picture).convert("L")
    closed = grey.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    return float((np.asarray(closed, dtype=np.float64) - np.asarray(grey, dtype=np.float64)).mean())


def chroma(picture: Picture) -> float:
    """Mean distance from grey in L*a*b*, 0..about 100."""
    lab = to_lab(picture)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def blockiness(picture: Picture, block: int = BLOCK) -> float:
    """Step between neighbouring pixels where squares of `block` pixels meet, per step elsewhere.

    About 1 on any ordinary picture, high where the picture is made of such squares.
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
"""Style -> the name of its measure and the measure. More is more of the style."""
