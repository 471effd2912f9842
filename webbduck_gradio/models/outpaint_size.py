"""What an outpainting leaves open before its request is built: percentages and the size of the result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import RequestError, StorageError
from ..request import SIDE_STEP, OutpaintSides
from ..storage import images
from .input_checks import PICTURE, InputImages

AXES = {"width": ("left", "right"), "height": ("top", "bottom")}
PERCENT = re.compile(r"(\d{1,4}(?:\.\d{1,3})?) ?%")


def with_size(asked: Mapping[str, Any], inputs: InputImages) -> dict[str, Any]:
    """The fields with percentages of the picture in `outpaint` as pixels, and with width and height, where
    they are None or absent, as the picture's with these sides.

    What is no outpainting of a stored picture is left to the validation of the request. Raises
    `RequestError` for a size that no request can have, and for a picture that cannot be read, `NotFoundError`
    where it is gone.
    """
    fields, sides, image = dict(asked), asked.get("outpaint"), asked.get("image")
    is_known = isinstance(sides, Mapping) and sides.keys() <= OutpaintSides.model_fields.keys()
    if not isinstance(sides, Mapping) or not is_known or not isinstance(image, str):
        return fields
    try:
        size = images.probe(inputs.path(image), PICTURE).size
    except StorageError as error:
        raise RequestError(str(error)) from error
    sides = dict(sides)
    for both, length in zip(AXES.values(), size, strict=True):
        for side in both:
            if isinstance(sides.get(side), str) and (share := PERCENT.fullmatch(sides[side].strip())):
                sides[side] = round(length * float(share[1]) / 100 / SIDE_STEP) * SIDE_STEP
    fields["outpaint"] = sides
    for (axis, both), length in zip(AXES.items(), size, strict=True):
        added = [sides.get(side, 0) for side in both]
        if fields.get(axis) is None and any(sides.values()) and all(map(_is_length, added)):
            fields[axis] = _whole(axis, length, added)
    return fields


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _whole(axis: str, length: int, added: list[int]) -> int:
    """Width or height of the result. Raises `RequestError` if it is no multiple of `SIDE_STEP`."""
    total = length + sum(added)
    if missing := -total % SIDE_STEP:
        one, other = AXES[axis]
        raise RequestError(
            f"The picture's {axis} of {length} px with {added[0]} px {one} and {added[1]} px {other} makes "
            f"{total}, which is no multiple of {SIDE_STEP}; add {missing} px to one of them, or give {axis}.",
            field="outpaint",
        )
    return total
