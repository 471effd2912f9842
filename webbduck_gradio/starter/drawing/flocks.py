"""Scenes with the boxes of their ducks' heads and hats: what the starter detector learns from.

Unlike the scenes of the other models, these hold up to four ducks of different sizes, anywhere in the
picture. The same seed and size always give the same pixels and boxes.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import skia

from .backdrops import draw_backdrop
from .scenes import SUBJECTS, Attributes, draw_subject, sample
from .subjects import Part, draw_duck

_MOST_DUCKS = 4
_NONE_SHARE = 0.15
"""Share of pictures without a duck: another subject, or none."""


def draw_flock(
    seed: int, width: int, height: int, held_out: bool = False, ducks: int | None = None
) -> tuple[npt.NDArray[np.uint8], list[Part]]:
    """An image (height, width, 3) of 8-bit RGB and the parts of its ducks, of which there are `ducks` or 0
    to 4.

    Colours and hats come from combinations that are held out, or from all others (`scenes.sample`).
    """
    rng = random.Random(seed)
    surface = skia.Surface(width, height)
    canvas = surface.getCanvas()
    first = sample(rng, held_out)
    draw_backdrop(canvas, width, height, first.setting, first.time, rng)
    if ducks is None:
        ducks = 0 if rng.random() < _NONE_SHARE else rng.randint(1, _MOST_DUCKS)
    if ducks == 0 and first.subject in SUBJECTS[1:]:
        draw_subject(canvas, first, width, height, rng)
    parts: list[Part] = []
    taken: list[tuple[float, float, float]] = []
    unit = min(width, height)
    for _ in range(60):  # tries to place one more where it hides no other
        if len(taken) == ducks:
            break
        size = unit * rng.uniform(0.16, 0.5) * (1.0 if ducks == 1 else 0.75)
        x = rng.uniform(0.6 * size, width - 0.6 * size)
        y = rng.uniform(0.9 * size, height - 0.5 * size)
        if any(abs(x - a) < 0.85 * (size + s) and abs(y - b) < 0.8 * (size + s) for a, b, s in taken):
            continue
        taken.append((x, y, size))
        duck = _duck(rng, held_out)
        swims = first.setting == "pond"
        parts += draw_duck(
            canvas, x, y, size, duck.colour, first.time, duck.facing, swims, duck.hat, duck.hat_colour
        )
    pixels = surface.toarray(colorType=skia.kRGBA_8888_ColorType)
    return np.ascontiguousarray(pixels[..., :3]), parts


def _duck(rng: random.Random, held_out: bool) -> Attributes:
    while True:
        attributes = sample(rng, held_out)
        if attributes.subject == "duck":
            return attributes
