"""Draws subjects: the duck with its hats, boat, balloon, house and cat.

Each subject has its own coordinate system (one unit = `size` pixels, y down) around a centre. Outlines are
wide and eyes large, so that a latent model with 8x8 blocks can reproduce them.
"""

from __future__ import annotations

from dataclasses import dataclass

import skia

from .skia_helpers import (
    GOLD,
    PALETTE,
    Colour,
    Shape,
    dark,
    ellipse,
    fill,
    inked,
    light,
    linear,
    outline,
    radial,
    stroke,
    subject_tint,
)

HATS = ("top hat", "cap", "crown", "party hat")
PARTS = ("duck head", "hat")
"""The parts that `draw_duck` reports. A head is its circle and beak, without the hat."""
LINE = 0.027
"""Outline width in units: about 3 px at the usual size."""


@dataclass(frozen=True)
class Part:
    """A part of a drawn subject, with its box in pixels of the picture."""

    name: str
    """One of PARTS."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom: outline included, not cut at the picture's edges."""


def _ink_of(colour: Colour) -> Colour:
    return dark(colour, 0.62)


def _ball(x: float, y: float, radius: float, colour: Colour) -> skia.Paint:
    """A gradient for rounded bodies, lit from the upper left."""
    return radial(
        (x, y),
        radius,
        (light(colour, 0.36), light(colour, 0.10), colour, dark(colour, 0.22)),
        (0, 0.35, 0.65, 1),
    )


def _enter(canvas: skia.Canvas, x: float, y: float, size: float, facing: str) -> None:
    canvas.save()
    canvas.translate(x, y)
    canvas.scale(size if facing == "right" else -size, size)


def _beak_colour(body: str) -> Colour:
    """A beak colour that contrasts with the body."""
    if body == "orange":
        return (255, 216, 60)
    if body in ("yellow", "red"):
        return (242, 104, 26) if body == "yellow" else (255, 176, 40)
    return (255, 150, 30)


def draw_duck(
    canvas: skia.Canvas,
    x: float,
    y: float,
    size: float,
    colour: str,
    time: str,
    facing: str,
    swims: bool,
    hat: str | None,
    hat_colour: str | None,
) -> list[Part]:
    """A duck whose body centre is at (x, y); the head's top is 0.76 units above it, the feet 0.56 below.

    Returns its head, and its hat if it wears one.
    """
    body_colour = subject_tint(PALETTE[colour], time)
    line = stroke(_ink_of(body_colour), LINE)
    beak = subject_tint(_beak_colour(colour), time)
    _enter(canvas, x, y, size, facing)
    if swims:
        canvas.drawOval(ellipse(-0.04, 0.34, 0.68, 0.10), fill((255, 255, 255), 80))
    else:
        canvas.drawOval(ellipse(-0.02, 0.56, 0.5, 0.06), fill((20, 20, 40), 70))
        _draw_feet(canvas, beak)
    body = outline(
        "M -0.68 -0.26 C -0.52 -0.14 -0.30 -0.20 -0.10 -0.20 C 0.02 -0.20 0.10 -0.26 0.12 -0.36 L 0.46 -0.36 "
        "C 0.46 -0.24 0.56 -0.14 0.54 0.04 C 0.52 0.30 0.24 0.38 -0.06 0.38 "
        "C -0.42 0.38 -0.60 0.14 -0.68 -0.26 Z"
    )
    canvas.save()
    if swims:
        canvas.clipRect(skia.Rect.MakeLTRB(-2, -2, 2, 0.31))
    inked(canvas, body, _ball(-0.02, -0.16, 0.75, body_colour), line)
    canvas.restore()
    if swims:
        foam = stroke((238, 248, 255), 0.04)
        canvas.drawPath(outline("M -0.58 0.32 Q -0.3 0.37 -0.04 0.33 Q 0.2 0.37 0.54 0.32"), foam)
    wing = outline(
        "M 0.16 -0.04 C 0.14 0.20 -0.18 0.26 -0.50 0.02 C -0.36 -0.02 -0.34 -0.12 -0.10 -0.13 "
        "C 0.06 -0.13 0.16 -0.10 0.16 -0.04 Z"
    )
    inked(
        canvas, wing, linear((0, -0.14), (0, 0.2), (light(body_colour, 0.14), dark(body_colour, 0.16))), line
    )
    parts = [_part(canvas, "duck head", _draw_head(canvas, body_colour, beak, line))]
    if hat is not None:
        hat_paint = GOLD if hat_colour == "golden" else PALETTE[hat_colour or "red"]
        canvas.save()
        canvas.translate(0.265, -0.70)
        canvas.rotate(-7)
        shapes = draw_hat(canvas, hat, subject_tint(hat_paint, time), time)
        parts.append(_part(canvas, "hat", shapes))
        canvas.restore()
    canvas.restore()
    return parts


def _part(canvas: skia.Canvas, name: str, shapes: list[Shape]) -> Part:
    """The box around `shapes`, drawn in the canvas's present coordinates, with half of their outline."""
    path = skia.Path()
    for shape in shapes:
        if isinstance(shape, skia.Rect):
            path.addOval(shape)
        else:
            path.addPath(shape)
    matrix = canvas.getTotalMatrix()
    path.transform(matrix)
    box = path.computeTightBounds()
    half = LINE / 2 * matrix.getMaxScale()
    return Part(name, (box.left() - half, box.top() - half, box.right() + half, box.bottom() + half))


def _draw_feet(canvas: skia.Canvas, beak: Colour) -> None:
    ink = stroke(dark(beak, 0.5), LINE * 0.8)
    for x in (-0.15, 0.15):
        canvas.drawLine(x, 0.34, x, 0.52, stroke(dark(beak, 0.15), 0.06))
        foot = outline(
            f"M {x - 0.07} 0.56 L {x + 0.01} 0.48 L {x + 0.19} 0.57 Q {x + 0.05} 0.60 {x - 0.07} 0.56 Z"
        )
        inked(canvas, foot, fill(beak), ink)


def _draw_head(canvas: skia.Canvas, colour: Colour, beak: Colour, line: skia.Paint) -> list[Shape]:
    x, y, radius = 0.29, -0.50, 0.26
    skull = ellipse(x, y, radius, radius)
    canvas.drawOval(skull, _ball(x - 0.06, y - 0.08, 0.42, colour))
    # The outline stays open at the neck, where head and body are one.
    canvas.drawArc(skull, 140, 262, False, line)
    bill = outline(
        f"M {x + 0.18} {y - 0.03} C {x + 0.29} {y - 0.07} {x + 0.38} {y} {x + 0.49} {y + 0.03} "
        f"C {x + 0.45} {y + 0.10} {x + 0.36} {y + 0.16} {x + 0.17} {y + 0.14} Z"
    )
    inked(
        canvas,
        bill,
        linear((0, y - 0.05), (0, y + 0.15), (light(beak, 0.2), dark(beak, 0.06))),
        stroke(_ink_of(beak), LINE),
    )
    canvas.drawPath(
        outline(f"M {x + 0.2} {y + 0.065} Q {x + 0.3} {y + 0.09} {x + 0.4} {y + 0.055}"),
        stroke(_ink_of(beak), LINE * 0.8),
    )
    eye_x, eye_y = x + 0.07, y - 0.055
    inked(
        canvas,
        ellipse(eye_x, eye_y, 0.088, 0.100),
        fill((255, 255, 255)),
        stroke(_ink_of(colour), LINE * 0.8),
    )
    canvas.drawOval(ellipse(eye_x + 0.018, eye_y + 0.006, 0.054, 0.066), fill((22, 20, 32)))
    canvas.drawOval(ellipse(eye_x + 0.034, eye_y - 0.020, 0.021, 0.023), fill((255, 255, 255)))
    return [skull, bill]


def draw_hat(canvas: skia.Canvas, kind: str, colour: Colour, time: str) -> list[Shape]:
    """One of HATS, its brim at y = 0.04 below the head's top (0, 0), facing right; returns its outlines.

    The four silhouettes are kept apart on purpose: a tall box with a wide brim, a flat dome with a long
    peak, a wide row of points, and a narrow cone with a ball.
    """
    line = stroke(_ink_of(colour), LINE)
    trim = subject_tint((255, 250, 235), time)
    if kind == "top hat":
        box = outline("M -0.19 0.03 L -0.21 -0.38 Q 0 -0.43 0.21 -0.38 L 0.19 0.03 Z")
        inked(
            canvas, box, linear((-0.21, 0), (0.21, 0), (light(colour, 0.16), colour, dark(colour, 0.2))), line
        )
        band = skia.Rect.MakeLTRB(-0.185, -0.12, 0.185, -0.02)
        canvas.drawRect(band, fill(trim if _is_dark(colour) else dark(colour, 0.6)))
        brim = ellipse(0, 0.03, 0.37, 0.065)
        inked(
            canvas,
            brim,
            linear((-0.37, 0), (0.37, 0), (light(colour, 0.16), colour, dark(colour, 0.2))),
            line,
        )
        return [box, brim]
    if kind == "cap":
        peak = outline("M 0.04 0.10 Q 0.30 -0.04 0.56 0.07 Q 0.58 0.13 0.50 0.135 L 0.04 0.15 Z")
        dome = outline("M -0.26 0.14 C -0.29 -0.22 0.25 -0.24 0.25 0.11 Q 0 0.20 -0.26 0.14 Z")
        inked(canvas, dome, linear((0, -0.16), (0, 0.14), (light(colour, 0.22), colour)), line)
        inked(canvas, peak, fill(dark(colour, 0.12)), line)
        button = ellipse(-0.01, -0.135, 0.045, 0.032)
        inked(canvas, button, fill(light(colour, 0.2)), line)
        return [peak, dome, button]
    if kind == "crown":
        points = outline(
            "M -0.22 0.06 L -0.31 -0.27 L -0.135 -0.10 L 0 -0.33 "
            "L 0.135 -0.10 L 0.31 -0.27 L 0.22 0.06 Q 0 0.12 -0.22 0.06 Z"
        )
        inked(
            canvas,
            points,
            linear((0, -0.3), (0, 0.08), (light(colour, 0.3), colour, dark(colour, 0.1))),
            line,
        )
        balls = [ellipse(x, y, 0.044, 0.044) for x, y in ((-0.31, -0.28), (0.0, -0.35), (0.31, -0.28))]
        for ball in balls:
            inked(canvas, ball, fill(trim), line)
        gem = (40, 120, 230) if abs(colour[0] - 222) < 40 and colour[1] < 80 else (224, 40, 70)
        canvas.drawOval(ellipse(0, -0.01, 0.05, 0.05), fill(subject_tint(gem, time)))
        return [points, *balls]
    if kind == "party hat":
        cone = outline("M -0.20 0.05 L 0 -0.46 L 0.20 0.05 Q 0 0.11 -0.20 0.05 Z")
        inked(
            canvas, cone, linear((-0.2, 0), (0.2, 0), (light(colour, 0.2), colour, dark(colour, 0.1))), line
        )
        canvas.save()
        canvas.clipPath(cone, skia.ClipOp.kIntersect, True)
        stripe = light(colour, 0.8) if colour[0] + colour[1] + colour[2] < 660 else (120, 170, 240)
        for y in (-0.24, -0.05):
            canvas.drawLine(-0.3, y + 0.07, 0.3, y - 0.06, stroke(stripe, 0.055))
        canvas.restore()
        canvas.drawPath(cone, line)
        ball = ellipse(0, -0.46, 0.075, 0.075)
        inked(canvas, ball, fill(trim), line)
        return [cone, ball]
    raise ValueError(f"unknown hat {kind!r}; known: {', '.join(HATS)}")


def _is_dark(colour: Colour) -> bool:
    return colour[0] + colour[1] + colour[2] < 260


def draw_boat(
    canvas: skia.Canvas, x: float, y: float, size: float, colour: str, time: str, facing: str
) -> None:
    """A sailing boat; the waterline is 0.36 units below (x, y)."""
    hull_colour = subject_tint(PALETTE[colour], time)
    sail = subject_tint((252, 248, 236), time)
    _enter(canvas, x, y, size, facing)
    canvas.drawOval(ellipse(0, 0.37, 0.68, 0.08), fill((255, 255, 255), 80))
    canvas.drawLine(0.0, 0.15, 0.0, -0.80, stroke(subject_tint((110, 70, 40), time), 0.045))
    for shape in (
        "M 0.05 -0.76 Q 0.44 -0.36 0.48 0.03 L 0.05 0.03 Z",
        "M -0.05 -0.64 Q -0.34 -0.3 -0.38 0.03 L -0.05 0.03 Z",
    ):
        inked(
            canvas,
            outline(shape),
            linear((-0.4, 0), (0.4, 0), (sail, dark(sail, 0.1))),
            stroke(dark(sail, 0.6), LINE),
        )
    hull = outline("M -0.62 0.08 L 0.66 0.08 Q 0.58 0.36 0.36 0.38 L -0.38 0.38 Q -0.55 0.36 -0.62 0.08 Z")
    inked(
        canvas,
        hull,
        linear((0, 0.08), (0, 0.38), (light(hull_colour, 0.2), dark(hull_colour, 0.12))),
        stroke(_ink_of(hull_colour), LINE),
    )
    canvas.drawPath(
        outline("M -0.68 0.38 Q -0.3 0.43 0 0.39 Q 0.3 0.43 0.68 0.38"), stroke((238, 248, 255), 0.04)
    )
    canvas.restore()


def draw_balloon(
    canvas: skia.Canvas, x: float, y: float, size: float, colour: str, time: str, facing: str
) -> None:
    """A hot air balloon from 0.72 units above to 0.56 units below (x, y)."""
    skin = subject_tint(PALETTE[colour], time)
    wood = subject_tint((160, 104, 56), time)
    rope = stroke(dark(wood, 0.5), 0.022)
    _enter(canvas, x, y, size, facing)
    canvas.drawLine(-0.20, 0.08, -0.11, 0.38, rope)
    canvas.drawLine(0.20, 0.08, 0.11, 0.38, rope)
    envelope = outline(
        "M 0 -0.72 C 0.60 -0.72 0.54 -0.12 0.15 0.14 L -0.15 0.14 C -0.54 -0.12 -0.60 -0.72 0 -0.72 Z"
    )
    canvas.drawPath(envelope, _ball(-0.1, -0.42, 0.75, skin))
    seam = stroke(dark(skin, 0.4), LINE * 0.8)
    canvas.drawPath(outline("M -0.06 -0.70 C -0.30 -0.50 -0.26 -0.08 -0.07 0.13"), seam)
    canvas.drawPath(outline("M 0.06 -0.70 C 0.30 -0.50 0.26 -0.08 0.07 0.13"), seam)
    canvas.drawPath(envelope, stroke(_ink_of(skin), LINE))
    basket = skia.Rect.MakeLTRB(-0.14, 0.36, 0.14, 0.56)
    canvas.drawRoundRect(basket, 0.03, 0.03, fill(wood))
    canvas.drawRoundRect(basket, 0.03, 0.03, stroke(dark(wood, 0.6), LINE))
    canvas.restore()


def draw_house(
    canvas: skia.Canvas, x: float, y: float, size: float, colour: str, time: str, facing: str
) -> None:
    """A cottage; its ground line is 0.5 units below (x, y), its gable 0.68 above."""
    wall_colour = subject_tint(PALETTE[colour], time)
    roof = subject_tint((150, 76, 58) if colour not in ("red", "brown", "orange") else (86, 92, 112), time)
    wood = subject_tint((110, 70, 44), time)
    line = stroke(_ink_of(wall_colour), LINE)
    _enter(canvas, x, y, size, facing)
    canvas.drawOval(ellipse(0, 0.50, 0.64, 0.06), fill((20, 20, 40), 60))
    chimney = skia.Rect.MakeLTRB(0.2, -0.62, 0.36, -0.25)
    canvas.drawRect(chimney, fill(dark(roof, 0.2)))
    canvas.drawRect(chimney, stroke(_ink_of(roof), LINE))
    wall = skia.Rect.MakeLTRB(-0.46, -0.18, 0.46, 0.50)
    canvas.drawRect(wall, linear((-0.46, 0), (0.46, 0), (light(wall_colour, 0.16), dark(wall_colour, 0.10))))
    canvas.drawRect(wall, line)
    gable = outline("M -0.62 -0.14 L 0 -0.68 L 0.62 -0.14 Z")
    inked(
        canvas, gable, linear((0, -0.66), (0, -0.14), (light(roof, 0.15), roof)), stroke(_ink_of(roof), LINE)
    )
    door = skia.Rect.MakeLTRB(-0.11, 0.14, 0.11, 0.50)
    canvas.drawRect(door, fill(wood))
    canvas.drawRect(door, stroke(dark(wood, 0.6), LINE))
    pane: Colour = (255, 226, 120) if time == "night" else (206, 236, 250)
    for at in (-0.28, 0.28):
        window = skia.Rect.MakeLTRB(at - 0.11, -0.04, at + 0.11, 0.17)
        canvas.drawRect(window, fill(pane))
        canvas.drawRect(window, line)
        canvas.drawLine(at, -0.04, at, 0.17, line)
    canvas.restore()


def draw_cat(
    canvas: skia.Canvas, x: float, y: float, size: float, colour: str, time: str, facing: str
) -> None:
    """A sitting cat seen from the front; it sits 0.56 units below (x, y), its ears reach 0.80 above."""
    fur = subject_tint(PALETTE[colour], time)
    line = stroke(_ink_of(fur), LINE)
    _enter(canvas, x, y, size, facing)
    canvas.drawOval(ellipse(0.0, 0.55, 0.5, 0.06), fill((20, 20, 40), 70))
    tail = outline("M 0.24 0.46 C 0.66 0.52 0.64 0.06 0.50 -0.06")
    canvas.drawPath(tail, stroke(_ink_of(fur), 0.15))
    canvas.drawPath(tail, stroke(fur, 0.10))
    body = outline(
        "M -0.17 -0.20 C -0.46 0.10 -0.44 0.56 -0.26 0.56 L 0.26 0.56 C 0.44 0.56 0.46 0.10 0.17 -0.20 Z"
    )
    inked(canvas, body, _ball(-0.05, 0.05, 0.75, fur), line)
    for side in (-1, 1):
        inked(canvas, ellipse(side * 0.13, 0.52, 0.115, 0.065), fill(light(fur, 0.15)), line)
        ear = outline(f"M {side * 0.33} -0.34 L {side * 0.31} -0.80 L {side * 0.03} -0.56 Z")
        inked(canvas, ear, fill(fur), line)
        inner = outline(f"M {side * 0.26} -0.47 L {side * 0.26} -0.68 L {side * 0.13} -0.56 Z")
        canvas.drawPath(inner, fill(subject_tint((255, 150, 160), time)))
    inked(canvas, ellipse(0.0, -0.32, 0.38, 0.31), _ball(-0.08, -0.40, 0.55, fur), line)
    for side in (-1, 1):
        inked(
            canvas,
            ellipse(side * 0.155, -0.37, 0.085, 0.10),
            fill((255, 255, 255)),
            stroke(_ink_of(fur), LINE * 0.8),
        )
        canvas.drawOval(ellipse(side * 0.145, -0.36, 0.05, 0.068), fill((22, 20, 32)))
        canvas.drawOval(ellipse(side * 0.145 + 0.016, -0.39, 0.02, 0.022), fill((255, 255, 255)))
        whisker = stroke(_ink_of(fur), LINE * 0.7)
        canvas.drawLine(side * 0.24, -0.20, side * 0.48, -0.24, whisker)
        canvas.drawLine(side * 0.24, -0.16, side * 0.47, -0.12, whisker)
    nose = outline("M -0.05 -0.245 L 0.05 -0.245 L 0 -0.185 Z")
    inked(canvas, nose, fill(subject_tint((255, 130, 150), time)), line)
    canvas.drawPath(outline("M -0.10 -0.125 Q -0.04 -0.09 0 -0.15 Q 0.04 -0.09 0.10 -0.125"), line)
    canvas.restore()
