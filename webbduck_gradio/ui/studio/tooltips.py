"""What the Studio's buttons do, one short sentence each; the controls are told by `request.SETTINGS`."""

from __future__ import annotations

BUTTONS = {
    "generate": "Make as many pictures as Images says (Ctrl+Enter).",
    "test": "Make one picture, whatever Images says.",
    "swap": "Swap width and height",
    "dice": "Empty the seed, so that each press takes a new one.",
    "reuse": "Take the seed of the picture that is shown.",
}
"""By their element's id."""
