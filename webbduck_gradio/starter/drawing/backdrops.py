"""Draws backdrops: sky and light for each time of day, ground for each setting.

Every function draws on a skia canvas of `width` x `height` pixels and takes random variations (positions of
clouds, shapes of hills) from the given `random.Random`. Details are few and large on purpose: a latent model
with 8x8 blocks cannot reproduce details of one or two pixels.
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
class SceneContext:
    """Parameters shared by the parts of one backdrop."""

    canvas: skia.Canvas
    width: int
    height: int
    time: str
    rng: random.Random
    horizon: float
    """Height of the horizon in pixels from the top."""
    side: int
    """-1 or 1: the side of the sun or moon, which tall plants avoid."""

    @property
    def unit(self) -> float:
        """The shorter side in pixels, to which sizes are relative."""
        return float(min(self.width, self.height))

    @property
    def wide(self) -> float:
        """Width relative to the unit; the number of repeated objects grows with it."""
        return self.width / self.unit

    def tint(self, colour: Colour) -> Colour:
        """A daylight colour tinted for this time of day."""
        return backdrop_tint(colour, self.time)


def draw_backdrop(
    canvas: skia.Canvas, width: int, height: int, setting: str, time: str, rng: random.Random
) -> None:
    """Draw the backdrop of `setting` (one of SETTINGS) at `time` (one of TIMES)."""
    horizon = height * rng.uniform(0.52, 0.57)
    scene = SceneContext(canvas, width, height, time, rng, horizon, rng.choice((-1, 1)))
    light_x = _draw_sky(scene, setting)
    if setting == "pond":
        _draw_pond(scene, light_x)
    elif setting == "meadow":
        _draw_meadow(scene)
    elif setting == "snow":
        _draw_snow(scene)
    elif setting == "desert":
        _draw_desert(scene)
    elif setting == "beach":
        _draw_beach(scene)
    else:
        raise ValueError(f"unknown setting {setting!r}; known: {', '.join(SETTINGS)}")


def _draw_sky(scene: SceneContext, setting: str) -> float:
    """Sky with sun or moon; returns its x position in pixels."""
    canvas, rng, unit = scene.canvas, scene.rng, scene.unit
    if scene.time == "day":
        colours: tuple[Colour, ...] = _DAY_SKIES.get(setting, _DAY_SKY)
    else:
        colours = _SUNSET_SKY if scene.time == "sunset" else _NIGHT_SKY
    canvas.drawRect(skia.Rect.MakeWH(scene.width, scene.height), linear((0, 0), (0, scene.horizon), colours))
    centre = scene.width * 0.5
    if scene.time == "day":
        x, y, radius = centre + scene.side * scene.width * rng.uniform(0.34, 0.38), unit * 0.16, unit * 0.07
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (255, 250, 200), 200)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((255, 236, 110)))
        cloud_x = centre - scene.side * scene.width * rng.uniform(0.26, 0.34)
        _draw_cloud(scene, cloud_x, unit * rng.uniform(0.13, 0.24), unit * 0.10, (255, 255, 255))
    elif scene.time == "sunset":
        x, radius = centre + scene.side * scene.width * rng.uniform(0.28, 0.36), unit * 0.15
        y = scene.horizon - radius * 0.3
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (255, 240, 170), 210)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((255, 236, 140)))
        cloud_x = centre - scene.side * scene.width * rng.uniform(0.24, 0.32)
        _draw_cloud(scene, cloud_x, unit * rng.uniform(0.13, 0.2), unit * 0.09, (250, 150, 150))
    else:
        x, y, radius = centre + scene.side * scene.width * rng.uniform(0.32, 0.36), unit * 0.17, unit * 0.085
        canvas.drawOval(
            ellipse(x, y, radius * 2.4, radius * 2.4), glow((x, y), radius * 2.4, (235, 236, 225), 120)
        )
        canvas.drawOval(ellipse(x, y, radius, radius), fill((252, 246, 214)))
        canvas.drawOval(
            ellipse(x - radius * 0.3, y - radius * 0.2, radius * 0.26, radius * 0.26), fill((226, 220, 186))
        )
        _draw_stars(scene, x, y, radius)
    return x


def _draw_stars(scene: SceneContext, moon_x: float, moon_y: float, moon_radius: float) -> None:
    count = int(8 * scene.wide)
    for index in range(count):
        # One star per column, so that stars never touch.
        x = scene.width * (index + scene.rng.uniform(0.2, 0.8)) / count
        y = scene.horizon * scene.rng.uniform(0.06, 0.8)
        if abs(x - moon_x) + abs(y - moon_y) > moon_radius * 2.4:
            size = scene.unit * 0.011
            scene.canvas.drawOval(ellipse(x, y, size, size), fill((255, 255, 225)))


def _draw_cloud(scene: SceneContext, x: float, y: float, size: float, colour: Colour) -> None:
    paint = fill(colour)
    for dx, dy, radius in ((-0.85, 0.05, 0.42), (-0.3, -0.2, 0.56), (0.35, -0.1, 0.48), (0.85, 0.08, 0.38)):
        scene.canvas.drawOval(
            ellipse(x + dx * size, y + dy * size, radius * size, radius * size * 0.8), paint
        )
    bar = skia.Rect.MakeXYWH(x - 1.2 * size, y, 2.4 * size, 0.42 * size)
    scene.canvas.drawRoundRect(bar, 0.2 * size, 0.2 * size, paint)


def _draw_hill(
    scene: SceneContext, y: float, swing: float, paint: skia.Paint, waves: int, phase: float | None = None
) -> None:
    """A rolling ground line at height `y` with waves of `swing` pixels, filled down to the lower edge."""
    phase = scene.rng.uniform(0, 2 * math.pi) if phase is None else phase
    path = skia.Path()
    path.moveTo(-5, scene.height + 5)
    for step in range(41):
        x = -0.02 * scene.width + 1.04 * scene.width * step / 40
        path.lineTo(x, y + swing * math.sin(phase + waves * math.pi * step / 40))
    path.lineTo(scene.width + 5, scene.height + 5)
    path.close()
    scene.canvas.drawPath(path, paint)


def _draw_pond(scene: SceneContext, light_x: float) -> None:
    canvas, rng, unit, horizon = scene.canvas, scene.rng, scene.unit, scene.horizon
    _draw_hill(scene, horizon - unit * 0.05, unit * 0.03, fill(scene.tint((104, 176, 104))), 2)
    near: dict[str, Colour] = {"day": (120, 200, 240), "sunset": (250, 170, 120), "night": (52, 76, 140)}
    far: dict[str, Colour] = {"day": (36, 118, 200), "sunset": (128, 74, 140), "night": (14, 24, 70)}
    top, bottom = near[scene.time], far[scene.time]
    water = skia.Rect.MakeLTRB(0, horizon, scene.width, scene.height)
    canvas.drawRect(water, linear((0, horizon), (0, scene.height), (top, bottom)))
    depth = scene.height - horizon
    if scene.time != "day":
        shine: Colour = (255, 240, 180) if scene.time == "night" else (255, 226, 150)
        for row in range(3):
            y, half = horizon + depth * (0.10 + 0.16 * row), unit * (0.06 + 0.03 * row)
            canvas.drawLine(light_x - half, y, light_x + half, y, stroke(shine, unit * 0.018, 170))
    ripple = stroke(light(top, 0.45), unit * 0.014, 190)
    for row in range(4):
        y = horizon + depth * (0.18 + 0.22 * row)
        x, half = scene.width * rng.uniform(0.08, 0.92), unit * (0.05 + 0.015 * row)
        lift = unit * 0.016
        canvas.drawPath(
            outline(
                f"M {x - half} {y} Q {x - half / 2} {y - lift} {x} {y} "
                f"Q {x + half / 2} {y + lift} {x + half} {y}"
            ),
            ripple,
        )
    _draw_cattails(scene)


def _draw_cattails(scene: SceneContext) -> None:
    for index in range(3):
        x = scene.width * (0.5 + scene.side * 0.45) + scene.unit * 0.045 * (index - 1)
        top = scene.height * (0.70 + 0.05 * ((index * 2) % 3))
        scene.canvas.drawLine(x, scene.height, x, top, stroke(scene.tint((60, 140, 60)), scene.unit * 0.016))
        head = skia.Rect.MakeXYWH(
            x - scene.unit * 0.017, top - scene.unit * 0.06, scene.unit * 0.034, scene.unit * 0.09
        )
        scene.canvas.drawRoundRect(
            head, scene.unit * 0.017, scene.unit * 0.017, fill(scene.tint((120, 72, 40)))
        )


def _draw_meadow(scene: SceneContext) -> None:
    canvas, rng, unit, horizon = scene.canvas, scene.rng, scene.unit, scene.horizon
    back = linear(
        (0, horizon - unit * 0.05),
        (0, horizon + unit * 0.2),
        (scene.tint((150, 208, 120)), scene.tint((110, 186, 92))),
    )
    _draw_hill(scene, horizon - unit * 0.02, unit * 0.035, back, 2)
    front = linear((0, horizon), (0, scene.height), (scene.tint((122, 204, 84)), scene.tint((58, 150, 58))))
    _draw_hill(scene, horizon + unit * 0.07, unit * 0.02, front, 2)
    blade = stroke(scene.tint((40, 124, 48)), unit * 0.013)
    tufts = int(4 * scene.wide)
    for index in range(tufts):
        x = scene.width * (index + rng.uniform(0.2, 0.8)) / tufts
        y, size = rng.uniform(horizon + unit * 0.16, scene.height * 0.97), unit * 0.045
        for lean in (-0.6, 0.0, 0.6):
            canvas.drawLine(x, y, x + lean * size, y - size, blade)
    petals: tuple[Colour, ...] = ((255, 255, 255), (255, 120, 165), (255, 224, 90))
    flowers = int(4 * scene.wide)
    for index in range(flowers):
        x = scene.width * (index + rng.uniform(0.15, 0.85)) / flowers
        y, size = rng.uniform(horizon + unit * 0.18, scene.height * 0.95), unit * 0.019
        petal = fill(scene.tint(rng.choice(petals)))
        for turn in range(5):
            angle = turn * 2 * math.pi / 5 - math.pi / 2
            canvas.drawOval(
                ellipse(x + size * math.cos(angle), y + size * math.sin(angle), size * 0.75, size * 0.75),
                petal,
            )
        canvas.drawOval(ellipse(x, y, size * 0.62, size * 0.62), fill(scene.tint((250, 170, 40))))


def _draw_snow(scene: SceneContext) -> None:
    canvas, rng, unit, horizon = scene.canvas, scene.rng, scene.unit, scene.horizon
    _draw_hill(scene, horizon - unit * 0.02, unit * 0.04, fill(scene.tint((206, 222, 242))), 2)
    trees = int(3 * scene.wide)
    for index in range(trees):
        x = scene.width * (0.06 + 0.88 * (index + rng.uniform(0.2, 0.8)) / trees)
        _draw_fir(scene, x, horizon + unit * 0.06, unit * rng.uniform(0.12, 0.15))
    ground = linear(
        (0, horizon), (0, scene.height), (scene.tint((250, 252, 255)), scene.tint((206, 222, 246)))
    )
    _draw_hill(scene, horizon + unit * 0.08, unit * 0.02, ground, 2)
    flakes = int(9 * scene.wide)
    for index in range(flakes):
        x, y = scene.width * (index + rng.uniform(0.2, 0.8)) / flakes, rng.uniform(0.05, 0.95) * scene.height
        canvas.drawOval(ellipse(x, y, unit * 0.013, unit * 0.013), fill((255, 255, 255)))


def _draw_fir(scene: SceneContext, x: float, y: float, size: float) -> None:
    """A fir with snow on its three tiers; `y` is the ground, `size` a third of its height."""
    canvas = scene.canvas
    trunk = skia.Rect.MakeXYWH(x - size * 0.1, y - size * 0.1, size * 0.2, size * 0.35)
    canvas.drawRect(trunk, fill(scene.tint((110, 76, 50))))
    for tier in range(3):
        base, half = y - size * 0.55 * tier, size * (0.62 - 0.14 * tier)
        canvas.drawPath(
            outline(f"M {x - half} {base} L {x} {base - size * 0.8} L {x + half} {base} Z"),
            fill(scene.tint((50, 118, 90))),
        )
        snow = outline(
            f"M {x - half * 0.45} {base - size * 0.44} L {x} {base - size * 0.8} "
            f"L {x + half * 0.45} {base - size * 0.44} Z"
        )
        canvas.drawPath(snow, fill(scene.tint((244, 249, 255))))


def _draw_desert(scene: SceneContext) -> None:
    rng, unit, horizon = scene.rng, scene.unit, scene.horizon
    _draw_hill(scene, horizon - unit * 0.01, unit * 0.04, fill(scene.tint((236, 190, 120))), 2)
    middle = linear(
        (0, horizon), (0, scene.height), (scene.tint((250, 214, 140)), scene.tint((222, 162, 90)))
    )
    _draw_hill(scene, horizon + unit * 0.06, unit * 0.035, middle, 2)
    front = linear(
        (0, horizon + unit * 0.2),
        (0, scene.height),
        (scene.tint((252, 208, 130)), scene.tint((226, 166, 94))),
    )
    _draw_hill(scene, horizon + unit * 0.26, unit * 0.03, front, 2)
    for side in (-1, 1):
        x = scene.width * (0.5 + side * rng.uniform(0.38, 0.42))
        _draw_cactus(scene, x, horizon + unit * 0.17, unit * rng.uniform(0.14, 0.18))


def _draw_cactus(scene: SceneContext, x: float, y: float, size: float) -> None:
    colour = scene.tint((60, 150, 72))
    scene.canvas.drawLine(x, y, x, y - size * 1.25, stroke(colour, size * 0.28))
    arm = stroke(colour, size * 0.2)
    for side, low, high in ((-1, 0.4, 0.85), (1, 0.6, 1.05)):
        bend = x + side * size * 0.42
        scene.canvas.drawPath(
            outline(f"M {x} {y - size * low} L {bend} {y - size * low} L {bend} {y - size * high}"), arm
        )


def _draw_beach(scene: SceneContext) -> None:
    canvas, rng, unit, horizon = scene.canvas, scene.rng, scene.unit, scene.horizon
    far: dict[str, Colour] = {"day": (40, 160, 210), "sunset": (190, 96, 130), "night": (22, 40, 96)}
    near: dict[str, Colour] = {"day": (120, 222, 224), "sunset": (250, 180, 140), "night": (54, 88, 150)}
    shore = horizon + unit * 0.16
    sea = skia.Rect.MakeLTRB(0, horizon, scene.width, shore + unit * 0.05)
    canvas.drawRect(sea, linear((0, horizon), (0, shore), (far[scene.time], near[scene.time])))
    crest = stroke(light(near[scene.time], 0.5), unit * 0.013, 190)
    for row in range(3):
        x, y = scene.width * rng.uniform(0.1, 0.9), horizon + unit * (0.035 + 0.035 * row)
        canvas.drawLine(x - unit * 0.06, y, x + unit * 0.06, y, crest)
    # Foam and sand follow the same wave, so the same phase is used for both.
    phase = rng.uniform(0, 2 * math.pi)
    _draw_hill(scene, shore - unit * 0.014, unit * 0.014, fill(scene.tint((255, 255, 255))), 4, phase)
    sand = linear((0, shore), (0, scene.height), (scene.tint((250, 224, 160)), scene.tint((238, 196, 120))))
    _draw_hill(scene, shore + unit * 0.014, unit * 0.014, sand, 4, phase)
    _draw_palm(scene, shore + unit * 0.08)
    x = scene.width * (0.5 - scene.side * rng.uniform(0.36, 0.44))
    canvas.drawOval(
        ellipse(x, scene.height * 0.9, unit * 0.026, unit * 0.02), fill(scene.tint((255, 150, 130)))
    )


def _draw_palm(scene: SceneContext, y: float) -> None:
    """A palm on the side away from the light, leaning inwards; `y` is the foot of its trunk."""
    canvas, side, size = scene.canvas, -scene.side, scene.unit * 0.38
    x = scene.width * (0.5 + side * scene.rng.uniform(0.41, 0.45))
    top_x, top_y = x - side * size * 0.10, y - size * 0.95
    trunk = outline(f"M {x} {y} Q {x} {y - size * 0.5} {top_x} {top_y}")
    canvas.drawPath(trunk, stroke(scene.tint((142, 98, 58)), scene.unit * 0.032))
    leaf = fill(scene.tint((46, 150, 74)))
    for dx, dy in ((-0.44, 0.18), (-0.38, -0.12), (0.38, -0.12), (0.44, 0.18), (0.05, 0.34)):
        frond = (
            f"M {top_x} {top_y} Q {top_x + dx * size * 0.5} {top_y + (dy - 0.30) * size} "
            f"{top_x + dx * size} {top_y + dy * size} "
            f"Q {top_x + dx * size * 0.5} {top_y + (dy - 0.02) * size * 0.6} {top_x} {top_y} Z"
        )
        canvas.drawPath(outline(frond), leaf)
