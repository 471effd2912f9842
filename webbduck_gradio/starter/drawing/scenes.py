"""Scenes described by attributes, and their drawing: the training data of the starter models.

The same attributes, size and seed always give the same pixels.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import skia

from .backdrops import SETTINGS, TIMES, draw_backdrop
from .skia_helpers import PALETTE
from .subjects import HATS, Part, draw_balloon, draw_boat, draw_cat, draw_duck, draw_house

__all__ = [
    "COLOURS",
    "HATS",
    "SETTINGS",
    "SIZES",
    "SUBJECTS",
    "TIMES",
    "Attributes",
    "draw",
    "is_held_out",
    "sample",
]

COLOURS = tuple(PALETTE)
SUBJECTS = ("duck", "boat", "balloon", "house", "cat")
NATIVE_SIZE = 256
SIZES: tuple[tuple[int, int], ...] = ((256, 256), (320, 208), (208, 320), (288, 224), (224, 288))
"""(width, height) in pixels of training images, native square first; about equal areas."""

_SUBJECT_SHARES = (0.72, 0.07, 0.07, 0.07, 0.07)
_TIME_SHARES = (0.42, 0.29, 0.29)
_HAT_SHARE = 0.66
_HELD_OUT_ONE_IN = 8


@dataclass(frozen=True)
class Attributes:
    """The content of an image."""

    subject: str
    """One of SUBJECTS."""
    colour: str
    """One of COLOURS: of the duck's body, the boat's hull, the balloon, the house's walls, the cat's fur."""
    setting: str
    """One of SETTINGS."""
    time: str
    """One of TIMES."""
    facing: str
    """"left" or "right"."""
    hat: str | None = None
    """One of HATS, on ducks only."""
    hat_colour: str | None = None
    """One of COLOURS, or "golden" (crowns only); None without a hat."""


def is_held_out(attributes: Attributes) -> bool:
    """Whether this combination of subject, colour, setting, time and hat is never used for training.

    One combination in eight, chosen by a checksum, so that the split is always the same.
    """
    key = "/".join(
        (
            attributes.subject,
            attributes.colour,
            attributes.setting,
            attributes.time,
            attributes.hat or "no hat",
        )
    )
    return zlib.crc32(key.encode()) % _HELD_OUT_ONE_IN == 0


def _settings_of(subject: str) -> tuple[str, ...]:
    if subject == "boat":
        return ("pond",)
    if subject in ("house", "cat"):
        return tuple(setting for setting in SETTINGS if setting != "pond")
    return SETTINGS


def sample(rng: random.Random, held_out: bool = False) -> Attributes:
    """Random attributes, from the held-out combinations or from all others."""
    while True:
        subject = rng.choices(SUBJECTS, _SUBJECT_SHARES)[0]
        hat = rng.choice(HATS) if subject == "duck" and rng.random() < _HAT_SHARE else None
        colour = rng.choice(COLOURS)
        hat_colour = None
        if hat is not None:
            # A hat in the colour of the head would be hard to see.
            hat_colour = rng.choice([name for name in COLOURS if name != colour])
            if hat == "crown" and rng.random() < 0.5:
                hat_colour = "golden"
        attributes = Attributes(
            subject=subject,
            colour=colour,
            setting=rng.choice(_settings_of(subject)),
            time=rng.choices(TIMES, _TIME_SHARES)[0],
            facing=rng.choice(("left", "right")),
            hat=hat,
            hat_colour=hat_colour,
        )
        if is_held_out(attributes) == held_out:
            return attributes


def draw(
    attributes: Attributes, seed: int, width: int = NATIVE_SIZE, height: int = NATIVE_SIZE
) -> npt.NDArray[np.uint8]:
    """The image (height, width, 3), 8-bit RGB. `seed` determines everything not given by the attributes."""
    rng = random.Random(seed)
    surface = skia.Surface(width, height)
    canvas = surface.getCanvas()
    draw_backdrop(canvas, width, height, attributes.setting, attributes.time, rng)
    draw_subject(canvas, attributes, width, height, rng)
    pixels = surface.toarray(colorType=skia.kRGBA_8888_ColorType)
    return np.ascontiguousarray(pixels[..., :3])


def draw_subject(
    canvas: skia.Canvas, attributes: Attributes, width: int, height: int, rng: random.Random
) -> list[Part]:
    """Draws the subject at its usual place and size; returns a duck's parts."""
    unit = min(width, height)
    size = unit * rng.uniform(0.46, 0.50)
    x = width * 0.5 + unit * rng.uniform(-0.05, 0.05) + (width - unit) * rng.uniform(-0.2, 0.2)
    ground = height - unit * rng.uniform(0.07, 0.11)
    colour, time, facing = attributes.colour, attributes.time, attributes.facing
    if attributes.subject == "duck":
        swims = attributes.setting == "pond"
        y = ground - (0.42 if swims else 0.56) * size
        hat, hat_colour = attributes.hat, attributes.hat_colour
        return draw_duck(canvas, x, y, size, colour, time, facing, swims, hat, hat_colour)
    if attributes.subject == "balloon":
        draw_balloon(canvas, x, height * 0.5, size * 1.15, colour, time, facing)
        return []
    painters: dict[str, tuple[Callable[..., None], float, float]] = {
        "boat": (draw_boat, 0.45, 1.1),
        "house": (draw_house, 0.50, 1.15),
        "cat": (draw_cat, 0.56, 1.05),
    }
    painter, depth, scale = painters[attributes.subject]
    painter(canvas, x, ground - depth * scale * size, size * scale, colour, time, facing)
    return []
