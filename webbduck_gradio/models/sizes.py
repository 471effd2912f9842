"""Sizes that a checkpoint draws badly: one rule, which the page evaluates too (ui/studio/size_warning.js).

UNets are trained on pictures of about one area. Far above it they repeat the subject, which a picture to
begin from prevents as long as its strength is low; far below it, and at long formats, the subject is cut off
or repeated (Podell et al. 2023, "SDXL", section 2.2).
"""

from __future__ import annotations

import math
from typing import Literal

from ..request import GenerationRequest
from .catalog.entries import Checkpoint

Fault = Literal["repeated", "cropped", "stretched", "changed", "too_large", "too_strong"]

LIMITS = {"larger": 2.25, "smaller": 0.25, "longer": 2.5, "redrawn": 4.0, "kept": 0.75}
"""`larger`, `smaller`: areas, in squares of the native size, beyond which the first pass is warned of, and
`longer`: ratio of its sides. `redrawn`: the same for a pass from a picture, above the strength that the
checkpoint recommends; from the strength `kept` on, `larger` holds for it as well, since little of the picture
is left."""

TRAINED = "the area that the checkpoint was trained on"
LARGER = "is larger than the {n} × {n} px up to which the checkpoint keeps shapes"
TEXTS: dict[Fault, str] = {
    "repeated": f"is {{n}} times {TRAINED}; expect repeated subjects",
    "cropped": f"is less than a quarter of {TRAINED}; expect cropped subjects",
    "stretched": "has sides of {n} to 1, which the checkpoint hardly knows; expect repeated subjects",
    "changed": f"is {{n}} times {TRAINED}; above strength {{strength}} expect repeated subjects",
    "too_large": f"{LARGER}; expect distorted ones",
    "too_strong": f"{LARGER} above strength {{strength}}; expect distorted ones",
}
"""What follows "512 × 512 px"."""
WRAPPED = 64
"""Sides in pixels that a UNet with four levels halves without a remainder, as seamless borders need."""
ABOVE = 0.15
"""By how much a strength may exceed the recommended one before redrawn tiles are warned of."""


def fault(
    size: tuple[int, int],
    native: int,
    strength: float | None = None,
    recommended: float = 0.5,
    largest: int | None = None,
    redrawn: int | None = None,
) -> str | None:
    """What is to be expected of a pass of this size (width, height), in one sentence without its full stop;
    None: nothing bad.

    `native`: side in pixels of the square that the checkpoint was trained on. `strength`: how much of a given
    picture is drawn anew; None = begun from noise alone. `recommended`: the checkpoint's strength for larger
    copies. `largest`: side of the largest square that it draws well; None = not known. `redrawn`: the same
    from a picture, up to the recommended strength; None = `largest`.
    """
    width, height = size
    area = width * height / native**2
    ratio = max(size) / min(size)
    gentle = strength is not None and strength <= recommended
    bound = (gentle and redrawn) or largest
    found: tuple[Fault, float] | None = None
    if area > LIMITS["larger"] and (strength is None or strength > LIMITS["kept"]):
        found = "repeated", area
    elif bound is not None and width * height > bound**2:
        too_strong = strength is not None and not gentle and redrawn is not None
        found = "too_strong" if too_strong else "too_large", bound
    elif strength is None and area < LIMITS["smaller"]:
        found = "cropped", area
    elif strength is None and ratio > LIMITS["longer"]:
        found = "stretched", ratio
    elif strength is not None and area > LIMITS["redrawn"] and strength > recommended:
        found = "changed", area
    if found is None:
        return None
    number = found[1] if found[0].startswith("too_") else _rounded(found[1])
    said = TEXTS[found[0]].replace("{n}", f"{number:g}").replace("{strength}", f"{recommended:g}")
    return f"{width} × {height} px {said}"


def _rounded(value: float) -> float:
    """To two digits, halves upwards as JavaScript's toPrecision does."""
    scale = 10 ** (1 - math.floor(math.log10(value)))
    return math.floor(value * scale + 0.5) / scale


def size_warnings(request: GenerationRequest, checkpoint: Checkpoint, hires: Checkpoint | None) -> list[str]:
    """Sentences about the sizes that the passes draw. `hires`: the checkpoint of the hires pass, if any.

    Outpainting draws windows near the native size, so it has none.
    """
    if request.outpaint:
        return []
    found = [
        _of_pass(checkpoint, (request.width, request.height), request.strength if request.image else None)
    ]
    if hires is not None:
        found.append(_of_pass(hires, request.hires_size, request.hires_strength, "The hires pass: "))
    return [f"{each}." for each in found if each]


def seam_warnings(width: int, height: int) -> list[str]:
    """A sentence if seamless borders of a picture of this size are not exact."""
    if width % WRAPPED == 0 and height % WRAPPED == 0:
        return []
    return [
        f"A seam can show at the borders of {width} x {height} pixels; tiling is exact where both sides are "
        f"multiples of {WRAPPED}."
    ]


def redraw_warnings(checkpoint: Checkpoint, tile: tuple[int, int], tiles: int, strength: float) -> list[str]:
    """Sentences about a picture redrawn in this number of `tiles` of this size (width, height)."""
    found = [_of_pass(checkpoint, tile, strength, "The tiles: ")]
    usual = checkpoint.defaults.redraw_strength
    if tiles > 1 and strength > usual + ABOVE + 1e-9:
        found.append(
            f"Strength {strength:g} is above the {usual:g} recommended for {checkpoint.name}; expect the "
            "prompt's subjects in single tiles"
        )
    return [f"{each}." for each in found if each]


def _of_pass(
    checkpoint: Checkpoint, size: tuple[int, int], strength: float | None, which: str = ""
) -> str | None:
    said = fault(
        size,
        checkpoint.native_size,
        strength,
        checkpoint.defaults.hires_strength,
        checkpoint.largest,
        checkpoint.largest_redrawn,
    )
    return which + said if said else None
