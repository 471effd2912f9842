"""What the `parameters` text says of a picture that was redrawn in tiles: the keys of the script "Ultimate SD
upscale", as AUTOMATIC1111 shows them.

The script draws tiles of `tile_width` side by side, each with `padding` pixels around it; ours overlap, and
their size includes that. So `tile_width` + 2 * `padding` is our tile size, and 2 * `padding` our overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import infotext_models
from .other_tools import values

NAME = "Ultimate SD upscale"
KEYS = {key: f"{NAME} {key}" for key in ("upscaler", "tile_width", "tile_height", "mask_blur", "padding")}


def pairs(redraw: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The pairs of a redrawn picture of this size (width, height). `redraw`: its request as JSON."""
    overlap = redraw["overlap"]
    side = redraw["tile_size"] - overlap
    return {
        "Size": f"{size[0]}x{size[1]}",
        "Denoising strength": f"{redraw['strength']:g}",
        KEYS["upscaler"]: redraw["upscaler"],
        KEYS["tile_width"]: side,
        KEYS["tile_height"]: side,
        KEYS["padding"]: overlap // 2,
        **infotext_models.tiling_pairs(redraw.get("tiling", "none")),
    }


def read(fields: Mapping[str, str]) -> dict[str, Any]:
    """`upscaler`, `tile_size`, `overlap` and `strength` of a redrawing, as far as a text tells them; {} if it
    tells of none. `fields`: its pairs."""
    found = {key.casefold(): value for key, value in fields.items()}
    given = {name: found[key.casefold()] for name, key in KEYS.items() if key.casefold() in found}
    if not given:
        return {}
    told: dict[str, Any] = {"upscaler": given.get("upscaler")}
    side, padding = values.whole(given.get("tile_width")), values.whole(given.get("padding"))
    if side and padding is not None and 0 < side <= 4096 and 0 <= padding <= 1024:
        told["tile_size"], told["overlap"] = _multiple(side + 2 * padding), _multiple(2 * padding)
    told["strength"] = values.number(found.get("denoising strength"))
    return {name: value for name, value in told.items() if value is not None}


def _multiple(pixels: int) -> int:
    """Of 8, upwards."""
    return -(-pixels // 8) * 8
