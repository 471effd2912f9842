"""What is asked of pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy


def psnr(one: Any, other: Any) -> float:
    """Peak signal-to-noise ratio of two pictures in dB; infinite if they are equal."""
    difference = numpy.asarray(one).astype(float) - numpy.asarray(other)
    error = (difference**2).mean()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ran_short(picture: Any) -> list[str]:
    """The warnings that memory ran out."""
    return [each for each in picture.warnings if each.startswith("Memory ran out")]
