"""The scenery behind a subject: sky and light for each time of day, ground for each setting.

Every function draws on a skia canvas of `width` x `height` pixels and takes its accidents (where a cloud
floats, how a hill rolls) from the `random.Random` that it is given. Details are few and bold on purpose:
speckle of a pixel or two is what a latent picture model with 8x8 blocks cannot keep.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import skia

from .skia_helpers import Colour, backdrop_tint, ellipse, fill, glow, light, linear, outline, stroke

SETTINGS = ("pond", "meadow", "snow", "desert", "beach")
TIMES = ("day", "sunset", "night")

_DAY_SKY: tuple[Colour, Colour] = ((78, 166, 242), (206, 236, 253))
_DAY_SKIES: dict[str, tuple[Colour, Colour]] = {
    "snow": ((158, 198, 236), (230, 241, 250)),
    "desert": ((104, 186, 236), (252, 234, 196)),
}
_SUNSET_SKY: tuple[Colour, ...] = ((98, 64, 146), (238, 108, 96), (255, 206, 116))
_NIGHT_SKY: tuple[Colour, ...] = ((10, 16, 52), (44, 62, 126))


@dataclass(frozen=True)
class Stage:
    """What the parts of one backdrop share."""

    canvas: skia.Canvas
    width: int
    height: int
    time: str
    rng: random.Random
    horizon: float
    """Height of the horizon in pixels from the top."""
    side: int
    """-1 or 1: the side on which sun or moon stands, so that tall plants can keep clear of it."""

    @property
    def unit(self) -> float:
        """The shorter side in pixels: sizes of things are shares of it, so they keep their shape."""
        return float(min(self.width, self.height))

    @property
    def wide(self) -> float:
        """How many times wider than the unit the picture is: numbers of repeated things grow with it."""
        return self.width / self.unit

    def tint(self, colour: Colour) -> Colour:
        """A daylight colour as it looks at this time."""
        return backdrop_tint(colour, self.time)


def draw_backdrop(
    canvas: skia.Canvas, width: int, height: int, setting: str, time: str, rng: random.Random
) -> None:
    """Draw the whole scenery of `setting` (one of SETTINGS) at `time` (one of TIMES)."""
    horizon = height * rng.uniform(0.52, 0.57)
    stage = Stage(canvas, width, height, time, rng, horizon, rng.choice((-1, 1)))
    light_x = _draw_sky(stage, setting)
    if setting == "pond":
        _draw_pond(stage, light_x)
    elif setting == "meadow":
        _draw_meadow(stage)
    elif setting == "snow":
        _draw_snow(stage)
    elif setting == "desert":
        _draw_desert(stage)
    elif setting == "beach":
        _draw_beach(stage)
    else:
        raise ValueError(f"unknown setting {setting!r}; known: {', '.join(SETTINGS)}")


def _draw_sky(stage: Stage, setting: str) -> float:
    """Sky with sun or moon; gives back where the light stands (x in pixels)."""
    canvas, rng, unit = stage.canvas, stage.rng, stage.unit
    if stage.time == "day":
        colours: tuple[Colour, ...] = _DAY_SKIES.get(setting, _DAY_SKY)
    else:
        colours = _SUNSET_SKY if stage.time == "sunset" else _NIGHT_SKY
    canvas.drawRect(skia.Rect.MakeWH(stage.width, stage.height), linear((0, 0), (0, stage.horizon), colours))
    centre = stage.width * 0.5
    if stage.time == "day":
        x, y, radius = centre + stage.side * stage.width * rng.uniform(0.34, 0.38), unit * 0.16, unit * 0.07
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (255, 250, 200), 200)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((255, 236, 110)))
        cloud_x = centre - stage.side * stage.width * rng.uniform(0.26, 0.34)
        _draw_cloud(stage, cloud_x, unit * rng.uniform(0.13, 0.24), unit * 0.10, (255, 255, 255))
    elif stage.time == "sunset":
        x, radius = centre + stage.side * stage.width * rng.uniform(0.28, 0.36), unit * 0.15
        y = stage.horizon - radius * 0.3
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (255, 240, 170), 210)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((255, 236, 140)))
        cloud_x = centre - stage.side * stage.width * rng.uniform(0.24, 0.32)
        _draw_cloud(stage, cloud_x, unit * rng.uniform(0.13, 0.2), unit * 0.09, (250, 150, 150))
    else:
        x, y, radius = centre + stage.side * stage.width * rng.uniform(0.32, 0.36), unit * 0.17, unit * 0.085
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (235, 236, 225), 120)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((252, 246, 214)))
        canvas.drawOval(
            ellipse(x - radius * 0.3, y - radius * 0.2, radius * 0.26, radius * 0.26), fill((226, 220, 186))
        )
        _draw_stars(stage, x, y, radius)
    return x


def _draw_stars(stage: Stage, moon_x: float, moon_y: float, moon_radius: float) -> None:
    count = int(8 * stage.wide)
    for index in range(count):
        # One star to a column keeps them apart: two that touch would read as a smudge.
        x = stage.width * (index + stage.rng.uniform(0.2, 0.8)) / count
        y = stage.horizon * stage.rng.uniform(0.06, 0.8)
        if abs(x - moon_x) + abs(y - moon_y) > moon_radius * 2.4:
            size = stage.unit * 0.011
            stage.canvas.drawOval(ellipse(x, y, size, size), fill((255, 255, 225)))


def _draw_cloud(stage: Stage, x: float, y: float, size: float, colour: Colour) -> None:
    paint = fill(colour)
    for dx, dy, radius in ((-0.85, 0.05, 0.42), (-0.3, -0.2, 0.56), (0.35, -0.1, 0.48), (0.85, 0.08, 0.38)):
        stage.canvas.drawOval(
            ellipse(x + dx * size, y + dy * size, radius * size, radius * size * 0.8), paint
        )
    bar = skia.Rect.MakeXYWH(x - 1.2 * size, y, 2.4 * size, 0.42 * size)
    stage.canvas.drawRoundRect(bar, 0.2 * size, 0.2 * size, paint)


def _draw_hill(
    stage: Stage, y: float, swing: float, paint: skia.Paint, waves: int, phase: float | None = None
) -> None:
    """A rolling ground line at height `y` with waves of `swing` pixels, filled down to the lower edge."""
    phase = stage.rng.uniform(0, 2 * math.pi) if phase is None else phase
    path = skia.Path()
    path.moveTo(-5, stage.height + 5)
    for step in range(41):
        x = -0.02 * stage.width + 1.04 * stage.width * step / 40
        path.lineTo(x, y + swing * math.sin(phase + waves * math.pi * step / 40))
    path.lineTo(stage.width + 5, stage.height + 5)
    path.close()
    stage.canvas.drawPath(path, paint)


def _draw_pond(stage: Stage, light_x: float) -> None:
    canvas, rng, unit, horizon = stage.canvas, stage.rng, stage.unit, stage.horizon
    _draw_hill(stage, horizon - unit * 0.05, unit * 0.03, fill(stage.tint((104, 176, 104))), 2)
    near: dict[str, Colour] = {"day": (120, 200, 240), "sunset": (250, 170, 120), "night": (52, 76, 140)}
    far: dict[str, Colour] = {"day": (36, 118, 200), "sunset": (128, 74, 140), "night": (14, 24, 70)}
    top, bottom = near[stage.time], far[stage.time]
    water = skia.Rect.MakeLTRB(0, horizon, stage.width, stage.height)
    canvas.drawRect(water, linear((0, horizon), (0, stage.height), (top, bottom)))
    depth = stage.height - horizon
    if stage.time != "day":
        shine: Colour = (255, 240, 180) if stage.time == "night" else (255, 226, 150)
        for row in range(3):
            y, half = horizon + depth * (0.10 + 0.16 * row), unit * (0.06 + 0.03 * row)
            canvas.drawLine(light_x - half, y, light_x + half, y, stroke(shine, unit * 0.018, 170))
    ripple = stroke(light(top, 0.45), unit * 0.014, 190)
    for row in range(4):
        y = horizon + depth * (0.18 + 0.22 * row)
        x, half = stage.width * rng.uniform(0.08, 0.92), unit * (0.05 + 0.015 * row)
        lift = unit * 0.016
        canvas.drawPath(
            outline(
                f"M {x - half} {y} Q {x - half / 2} {y - lift} {x} {y} "
                f"Q {x + half / 2} {y + lift} {x + half} {y}"
            ),
            ripple,
        )
    _draw_cattails(stage)


def _draw_cattails(stage: Stage) -> None:
    for index in range(3):
        x = stage.width * (0.5 + stage.side * 0.45) + stage.unit * 0.045 * (index - 1)
        top = stage.height * (0.70 + 0.05 * ((index * 2) % 3))
        stage.canvas.drawLine(x, stage.height, x, top, stroke(stage.tint((60, 140, 60)), stage.unit * 0.016))
        head = skia.Rect.MakeXYWH(
            x - stage.unit * 0.017, top - stage.unit * 0.06, stage.unit * 0.034, stage.unit * 0.09
        )
        stage.canvas.drawRoundRect(
            head, stage.unit * 0.017, stage.unit * 0.017, fill(stage.tint((120, 72, 40)))
        )


def _draw_meadow(stage: Stage) -> None:
    canvas, rng, unit, horizon = stage.canvas, stage.rng, stage.unit, stage.horizon
    back = linear(
        (0, horizon - unit * 0.05),
        (0, horizon + unit * 0.2),
        (stage.tint((150, 208, 120)), stage.tint((110, 186, 92))),
    )
    _draw_hill(stage, horizon - unit * 0.02, unit * 0.035, back, 2)
    front = linear((0, horizon), (0, stage.height), (stage.tint((122, 204, 84)), stage.tint((58, 150, 58))))
    _draw_hill(stage, horizon + unit * 0.07, unit * 0.02, front, 2)
    blade = stroke(stage.tint((40, 124, 48)), unit * 0.013)
    tufts = int(4 * stage.wide)
    for index in range(tufts):
        x = stage.width * (index + rng.uniform(0.2, 0.8)) / tufts
        y, size = rng.uniform(horizon + unit * 0.16, stage.height * 0.97), unit * 0.045
        for lean in (-0.6, 0.0, 0.6):
            canvas.drawLine(x, y, x + lean * size, y - size, blade)
    petals: tuple[Colour, ...] = ((255, 255, 255), (255, 120, 165), (255, 224, 90))
    flowers = int(4 * stage.wide)
    for index in range(flowers):
        x = stage.width * (index + rng.uniform(0.15, 0.85)) / flowers
        y, size = rng.uniform(horizon + unit * 0.18, stage.height * 0.95), unit * 0.019
        petal = fill(stage.tint(rng.choice(petals)))
        for turn in range(5):
            angle = turn * 2 * math.pi / 5 - math.pi / 2
            canvas.drawOval(
                ellipse(x + size * math.cos(angle), y + size * math.sin(angle), size * 0.75, size * 0.75),
                petal,
            )
        canvas.drawOval(ellipse(x, y, size * 0.62, size * 0.62), fill(stage.tint((250, 170, 40))))


def _draw_snow(stage: Stage) -> None:
    canvas, rng, unit, horizon = stage.canvas, stage.rng, stage.unit, stage.horizon
    _draw_hill(stage, horizon - unit * 0.02, unit * 0.04, fill(stage.tint((206, 222, 242))), 2)
    trees = int(3 * stage.wide)
    for index in range(trees):
        x = stage.width * (0.06 + 0.88 * (index + rng.uniform(0.2, 0.8)) / trees)
        _draw_fir(stage, x, horizon + unit * 0.06, unit * rng.uniform(0.12, 0.15))
    ground = linear(
        (0, horizon), (0, stage.height), (stage.tint((250, 252, 255)), stage.tint((206, 222, 246)))
    )
    _draw_hill(stage, horizon + unit * 0.08, unit * 0.02, ground, 2)
    flakes = int(9 * stage.wide)
    for index in range(flakes):
        x, y = stage.width * (index + rng.uniform(0.2, 0.8)) / flakes, rng.uniform(0.05, 0.95) * stage.height
        canvas.drawOval(ellipse(x, y, unit * 0.013, unit * 0.013), fill((255, 255, 255)))


def _draw_fir(stage: Stage, x: float, y: float, size: float) -> None:
    """A fir with snow on its three tiers; `y` is the ground, `size` a third of its height."""
    canvas = stage.canvas
    trunk = skia.Rect.MakeXYWH(x - size * 0.1, y - size * 0.1, size * 0.2, size * 0.35)
    canvas.drawRect(trunk, fill(stage.tint((110, 76, 50))))
    for tier in range(3):
        base, half = y - size * 0.55 * tier, size * (0.62 - 0.14 * tier)
        canvas.drawPath(
            outline(f"M {x - half} {base} L {x} {base - size * 0.8} L {x + half} {base} Z"),
            fill(stage.tint((50, 118, 90))),
        )
        snow = outline(
            f"M {x - half * 0.45} {base - size * 0.44} L {x} {base - size * 0.8} "
            f"L {x + half * 0.45} {base - size * 0.44} Z"
        )
        canvas.drawPath(snow, fill(stage.tint((244, 249, 255))))


def _draw_desert(stage: Stage) -> None:
    rng, unit, horizon = stage.rng, stage.unit, stage.horizon
    _draw_hill(stage, horizon - unit * 0.01, unit * 0.04, fill(stage.tint((236, 190, 120))), 2)
    middle = linear(
        (0, horizon), (0, stage.height), (stage.tint((250, 214, 140)), stage.tint((222, 162, 90)))
    )
    _draw_hill(stage, horizon + unit * 0.06, unit * 0.035, middle, 2)
    front = linear(
        (0, horizon + unit * 0.2),
        (0, stage.height),
        (stage.tint((252, 208, 130)), stage.tint((226, 166, 94))),
    )
    _draw_hill(stage, horizon + unit * 0.26, unit * 0.03, front, 2)
    for side in (-1, 1):
        x = stage.width * (0.5 + side * rng.uniform(0.38, 0.42))
        _draw_cactus(stage, x, horizon + unit * 0.17, unit * rng.uniform(0.14, 0.18))


def _draw_cactus(stage: Stage, x: float, y: float, size: float) -> None:
    colour = stage.tint((60, 150, 72))
    stage.canvas.drawLine(x, y, x, y - size * 1.25, stroke(colour, size * 0.28))
    arm = stroke(colour, size * 0.2)
    for side, low, high in ((-1, 0.4, 0.85), (1, 0.6, 1.05)):
        bend = x + side * size * 0.42
        stage.canvas.drawPath(
            outline(f"M {x} {y - size * low} L {bend} {y - size * low} L {bend} {y - size * high}"), arm
        )


def _draw_beach(stage: Stage) -> None:
    canvas, rng, unit, horizon = stage.canvas, stage.rng, stage.unit, stage.horizon
    far: dict[str, Colour] = {"day": (40, 160, 210), "sunset": (190, 96, 130), "night": (22, 40, 96)}
    near: dict[str, Colour] = {"day": (120, 222, 224), "sunset": (250, 180, 140), "night": (54, 88, 150)}
    shore = horizon + unit * 0.16
    sea = skia.Rect.MakeLTRB(0, horizon, stage.width, shore + unit * 0.05)
    canvas.drawRect(sea, linear((0, horizon), (0, shore), (far[stage.time], near[stage.time])))
    crest = stroke(light(near[stage.time], 0.5), unit * 0.013, 190)
    for row in range(3):
        x, y = stage.width * rng.uniform(0.1, 0.9), horizon + unit * (0.035 + 0.035 * row)
        canvas.drawLine(x - unit * 0.06, y, x + unit * 0.06, y, crest)
    # Foam and sand follow the same wave, so the same phase is used for both.
    phase = rng.uniform(0, 2 * math.pi)
    _draw_hill(stage, shore - unit * 0.014, unit * 0.014, fill(stage.tint((255, 255, 255))), 4, phase)
    sand = linear((0, shore), (0, stage.height), (stage.tint((250, 224, 160)), stage.tint((238, 196, 120))))
    _draw_hill(stage, shore + unit * 0.014, unit * 0.014, sand, 4, phase)
    _draw_palm(stage, shore + unit * 0.08)
    x = stage.width * (0.5 - stage.side * rng.uniform(0.36, 0.44))
    canvas.drawOval(
        ellipse(x, stage.height * 0.9, unit * 0.026, unit * 0.02), fill(stage.tint((255, 150, 130)))
    )


def _draw_palm(stage: Stage, y: float) -> None:
    """A palm on the side away from the light, leaning inwards; `y` is the foot of its trunk."""
    canvas, side, size = stage.canvas, -stage.side, stage.unit * 0.38
    x = stage.width * (0.5 + side * stage.rng.uniform(0.41, 0.45))
    top_x, top_y = x - side * size * 0.10, y - size * 0.95
    trunk = outline(f"M {x} {y} Q {x} {y - size * 0.5} {top_x} {top_y}")
    canvas.drawPath(trunk, stroke(stage.tint((142, 98, 58)), stage.unit * 0.032))
    leaf = fill(stage.tint((46, 150, 74)))
    for dx, dy in ((-0.44, 0.18), (-0.38, -0.12), (0.38, -0.12), (0.44, 0.18), (0.05, 0.34)):
        frond = (
            f"M {top_x} {top_y} Q {top_x + dx * size * 0.5} {top_y + (dy - 0.30) * size} "
            f"{top_x + dx * size} {top_y + dy * size} "
            f"Q {top_x + dx * size * 0.5} {top_y + (dy - 0.02) * size * 0.6} {top_x} {top_y} Z"
        )
        canvas.drawPath(outline(frond), leaf)
