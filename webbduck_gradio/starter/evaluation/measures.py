"""Image measures that need no trained model, each tested on drawings with known results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from ..drawing.skia_helpers import PALETTE, Colour, dark, light, subject_tint

Picture = npt.NDArray[np.uint8]
"""(height, width, 3) RGB bytes."""

_WINDOWS: dict[str, tuple[float, float, float, float]] = {
    # (up from the lower edge, to the side, half height, half width), relative to the shorter side:
    # a region that always lies on the subject, whatever its random variations.
    "duck": (0.335, 0.0, 0.055, 0.12),
    "swimming duck": (0.270, 0.0, 0.050, 0.12),
    "boat": (0.205, 0.0, 0.035, 0.12),
    "house": (0.367, 0.0, 0.045, 0.035),
    "cat": (0.275, 0.0, 0.050, 0.10),
}
_BALLOON_WINDOW = (0.72, 0.0, 0.05, 0.08)


def colour_window(picture: Picture, subject: str, setting: str) -> Picture:
    """The pixels (n, 3) in which the subject's colour is measured."""
    height, width = picture.shape[:2]
    unit = min(height, width)
    if subject == "balloon":
        up, side, half_height, half_width = _BALLOON_WINDOW
        middle = height * 0.5 - unit * (up - 0.5)
    else:
        kind = "swimming duck" if subject == "duck" and setting == "pond" else subject
        up, side, half_height, half_width = _WINDOWS[kind]
        middle = height - unit * up
    left, right = (width * 0.5 + unit * (side + sign * half_width) for sign in (-1, 1))
    top, bottom = (middle + sign * unit * half_height for sign in (-1, 1))
    return picture[round(top) : round(bottom), round(left) : round(right)].reshape(-1, 3)


def to_lab(colours: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """sRGB colours (..., 3) in 0..255 -> CIE L*a*b* (D65), in which distances are roughly perceptual."""
    values = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])],
        axis=-1,
    )


Tone = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""RGB colours (..., 3) in 0..255 -> the colours in a style."""


def _shades(colour: Colour, time: str) -> list[Colour]:
    """A subject's colour at `time`: base, highlight and shadow."""
    tinted = subject_tint(colour, time)
    return [tinted, light(tinted, 0.16), dark(tinted, 0.16)]


def subject_colour(picture: Picture, subject: str, setting: str, time: str, tone: Tone | None = None) -> str:
    """The name of the palette colour nearest to the median pixel of the subject.

    `subject`, `setting` and `time` of the prompt determine the window and the expected tint. `tone` maps the
    palette to the image's style.
    """
    middle = to_lab(np.median(colour_window(picture, subject, setting), axis=0))
    toned = tone or (lambda colours: colours)
    distances = {
        name: min(
            float(np.linalg.norm(to_lab(toned(np.asarray(shade))) - middle))
            for shade in _shades(colour, time)
        )
        for name, colour in PALETTE.items()
    }
    return min(distances, key=lambda name: distances[name])


def sharpness(picture: Picture) -> float:
    """Mean absolute difference between neighbouring grey values, 0..255: lower for blurred outlines."""
    grey = picture.astype(np.float64).mean(axis=2)
    return float((np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2)


def acutance(picture: Picture, share: float = 0.02) -> float:
    """Edge steepness: the mean gradient in grey values (0..255) over the steepest `share` of all pixels.

    Unlike `sharpness`, it is hardly affected by noise in flat areas.
    """
    grey = picture.astype(np.float64).mean(axis=2)
    steps = np.hypot(np.diff(grey, axis=0)[:, 1:], np.diff(grey, axis=1)[1:]).ravel()
    count = max(1, round(share * len(steps)))
    return float(np.partition(steps, -count)[-count:].mean())


def grain(picture: Picture) -> float:
    """Fine noise in flat areas, in grey values (0..255).

    The mean distance of a pixel from the median of its 3 x 3 neighbourhood, over the smoother three quarters
    of all pixels, which excludes outlines.
    """
    grey = picture.astype(np.float64).mean(axis=2)
    away = np.sort(np.abs(grey - median_filter(grey, size=3)), axis=None)
    return float(away[: len(away) * 3 // 4].mean())
