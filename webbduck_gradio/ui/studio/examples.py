"""The prompts that the empty viewer offers; those of the starter checkpoint with what it draws of them."""

from __future__ import annotations

import base64
from typing import Any

from ..theme import ASSETS

STARTER_EXAMPLES = {
    "a red duck on a pond": "red-duck",
    "a yellow duck wearing a crown at sunset": "yellow-duck",
    "a blue duck with a party hat in the snow": "blue-duck",
    "a green house in a meadow at night": "green-house",
}
"""Prompt -> file in `examples/`: drawn at 256 px with 20 Euler steps, CFG 5, and seed 1 (red) or 2."""
EXAMPLES = (
    "a duck on a lake at dawn, mist, golden light, photograph",
    "a lighthouse on a cliff, storm, oil painting",
    "a reading corner by a window, plants, warm light",
)


def starter_examples() -> list[dict[str, Any]]:
    """`prompt`, and `picture` as a data URI: too small to be worth a request each."""
    return [{"prompt": prompt, "picture": _data_uri(name)} for prompt, name in STARTER_EXAMPLES.items()]


def _data_uri(name: str) -> str:
    data = (ASSETS / "studio" / "examples" / f"{name}.webp").read_bytes()
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
