"""What a request asks for: the one place that says it, for the core, the queue, the gallery and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Mode = Literal["text2img", "img2img", "inpaint"]
"""How the first pass begins: with noise, with the input picture, or with a part of it that is repainted.

Whether a second pass follows, and which (a refiner's hand-off or img2img), is `conditions.second_pass`: it
depends on the second model's architecture.
"""


def mode_of(request: Mapping[str, Any]) -> Mode:
    """The mode of the fields of a request, of any version."""
    return "inpaint" if request.get("mask") else "img2img" if request.get("image") else "text2img"
