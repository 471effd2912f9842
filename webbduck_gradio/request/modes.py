"""The mode of a request, decided here alone for the core, the queue, the gallery and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Mode = Literal["text2img", "img2img", "inpaint"]
"""What the first pass starts from: noise, the input image, or a masked part of it that is inpainted.

Whether a second pass follows, and which (a refiner's hand-off or img2img), is `conditions.second_pass`: it
depends on the second model's architecture.
"""


def mode_of(request: Mapping[str, Any]) -> Mode:
    """The mode of a request's fields, as stored by any version."""
    return "inpaint" if request.get("mask") else "img2img" if request.get("image") else "text2img"
