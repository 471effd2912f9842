"""Colours and skia helpers: mixing, tints, outlines, gradients, paths.

Colours are (red, green, blue) tuples with channels in 0..255. Lengths are pixels of the current canvas
transform, so a subject drawn in its own unit system passes its own units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import skia

Colour = tuple[float, float, float]
Point = tuple[float, float]
Shape: TypeAlias = skia.Path | skia.Rect
"""A path, or the box of an ellipse."""

WHITE: Colour = (255.0, 255.0, 255.0)
INK: Colour = (10.0, 8.0, 20.0)

PALETTE: dict[str, Colour] = {
    "yellow": (255, 210, 40),
    "white": (247, 247, 245),
    "red": (222, 40, 40),
    "blue": (40, 96, 230),
    "green": (52, 172, 66),
    "purple": (146, 66, 196),
    "pink": (252, 142, 188),
    "orange": (252, 130, 24),
    "brown": (136, 84, 48),
    "black": (50, 50, 58),
}
GOLD: Colour = (255, 200, 40)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from `a` to `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def scaled(a: Colour, by: Colour) -> Colour:
    """`a` with each channel multiplied by the factor in `by`, at most 255."""
    return (min(255.0, a[0] * by[0]), min(255.0, a[1] * by[1]), min(255.0, a[2] * by[2]))


def light(colour: Colour, share: float) -> Colour:
    """`colour` mixed `share` (0..1) of the way to white."""
    return mix(colour, WHITE, share)


def dark(colour: Colour, share: float) -> Colour:
    """`colour` mixed `share` (0..1) of the way to ink."""
    return mix(colour, INK, share)


def backdrop_tint(colour: Colour, time: str) -> Colour:
    """A backdrop's daylight colour tinted for `time` ("day", "sunset", "night")."""
    if time == "sunset":
        return scaled(mix(colour, (255, 130, 80), 0.28), (0.93, 0.86, 0.88))
    if time == "night":
        return scaled(mix(colour, (70, 90, 170), 0.25), (0.40, 0.46, 0.66))
    return colour


def subject_tint(colour: Colour, time: str) -> Colour:
    """A weaker tint for the subject, whose colour must stay recognisable at every time of day."""
    if time == "sunset":
        return scaled(mix(colour, (255, 140, 80), 0.08), (1.0, 0.95, 0.93))
    if time == "night":
        return scaled(mix(colour, (90, 110, 200), 0.06), (0.80, 0.83, 0.93))
    return colour


def skia_colour(colour: Colour, alpha: int = 255) -> int:
    """A packed skia colour; channels outside 0..255 are clamped."""
    red, green, blue = (int(max(0.0, min(255.0, channel))) for channel in colour)
    return int(skia.Color(red, green, blue, alpha))


def fill(colour: Colour, alpha: int = 255) -> skia.Paint:
    """A plain fill."""
    return skia.Paint(AntiAlias=True, Color=skia_colour(colour, alpha))


def stroke(colour: Colour, width: float, alpha: int = 255) -> skia.Paint:
    """A round-capped line."""
    return skia.Paint(
        AntiAlias=True,
        Color=skia_colour(colour, alpha),
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap,
        StrokeJoin=skia.Paint.kRound_Join,
    )


def _stops(count: int) -> list[float]:
    return [i / (count - 1) for i in range(count)]


def linear(start: Point, end: Point, colours: Sequence[Colour]) -> skia.Paint:
    """A gradient from `start` to `end` through evenly spaced colours."""
    shader = skia.GradientShader.MakeLinear(
        points=[start, end], colors=[skia_colour(c) for c in colours], positions=_stops(len(colours))
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def radial(centre: Point, radius: float, colours: Sequence[Colour], stops: Sequence[float]) -> skia.Paint:
    """A gradient around `centre`; `stops` are shares of `radius`, one per colour."""
    shader = skia.GradientShader.MakeRadial(
        center=centre, radius=radius, colors=[skia_colour(c) for c in colours], positions=list(stops)
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def glow(centre: Point, radius: float, colour: Colour, alpha: int) -> skia.Paint:
    """A halo that fades from `alpha` (0..255) at the centre to nothing at `radius`."""
    shader = skia.GradientShader.MakeRadial(
        center=centre,
        radius=radius,
        colors=[skia_colour(colour, alpha), skia_colour(colour, 0)],
        positions=[0.0, 1.0],
    )
    return skia.Paint(AntiAlias=True, Shader=shader)


def ellipse(x: float, y: float, rx: float, ry: float) -> skia.Rect:
    """The box of an ellipse given by centre and radii."""
    return skia.Rect.MakeXYWH(x - rx, y - ry, 2 * rx, 2 * ry)


def outline(commands: str, mirror: bool = False) -> skia.Path:
    """A path from SVG-like text: M, L, Q, C with absolute coordinates, and Z.

    A subset of SVG: every command has a letter, without implicit repetition.
    """
    path = skia.Path()
    draw = {"M": (path.moveTo, 2), "L": (path.lineTo, 2), "Q": (path.quadTo, 4), "C": (path.cubicTo, 6)}
    words = commands.replace(",", " ").split()
    at = 0
    while at < len(words):
        if words[at] == "Z":
            path.close()
            at += 1
            continue
        move, count = draw[words[at]]
        numbers = [float(word) for word in words[at + 1 : at + 1 + count]]
        if mirror:
            numbers = [-value if i % 2 == 0 else value for i, value in enumerate(numbers)]
        move(*numbers)
        at += 1 + count
    return path


def inked(canvas: skia.Canvas, shape: Shape, paint: skia.Paint, line: skia.Paint) -> None:
    """Fill a path or ellipse and draw its outline."""
    if isinstance(shape, skia.Rect):
        canvas.drawOval(shape, paint)
        canvas.drawOval(shape, line)
    else:
        canvas.drawPath(shape, paint)
        canvas.drawPath(shape, line)
