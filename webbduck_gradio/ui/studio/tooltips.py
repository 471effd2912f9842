"""Tooltips of the Studio's buttons, by element id; those of the settings are in `request.SETTINGS`."""

from __future__ import annotations

BUTTONS = {
    "generate": "Generate the number of pictures set under Images (Ctrl+Enter).",
    "test": "Generate one picture, regardless of Images.",
    "swap": "Swap width and height",
    "dice": "Clear the seed, so that every job gets a random one.",
    "reuse": "Use the seed of the picture shown.",
}
