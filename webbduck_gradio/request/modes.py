"""The mode of a request, decided here alone for the core, the queue, the gallery and the page.

The page evaluates the same rules in ui/shared/settings.js.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .conditions import Test, first_match

Mode = Literal["text2img", "img2img", "inpaint", "outpaint"]
"""What the first pass starts from: noise, the input image, a masked part of it that is inpainted, or its
surroundings, by which it is extended.

Whether a second pass follows, and which (a refiner's hand-off or img2img), is `conditions.second_pass`: it
depends on the second model's architecture.
"""


MODE_RULES: tuple[tuple[tuple[Test, ...], Mode], ...] = (
    ((("image", "set", None), ("outpaint", "set", None)), "outpaint"),
    ((("mask", "set", None),), "inpaint"),
    ((("image", "set", None),), "img2img"),
    ((), "text2img"),
)
"""The mode: the first rule whose tests all pass."""


def mode_of(request: Mapping[str, Any]) -> Mode:
    """The mode of a request's fields, as stored by any version."""
    return first_match(MODE_RULES, request)
