"""The page's layouts: which windows get which. Style sheets and scripts both take them from here."""

from __future__ import annotations

NARROW = "(max-width: 820px)"
LOW = "(max-height: 560px)"
SIDE = f"({LOW} and (min-width: 560px))"

LAYOUTS = {
    "narrow": NARROW,
    "low": LOW,
    "side": SIDE,
    "upright": f"({NARROW} and (not {SIDE}))",
    "sheet": f"({NARROW} or {LOW})",
    "touch": "(hover: none)",
}
"""Media condition of each layout by name, to be combined with `and`.

sheet: the settings are in a sheet over the picture. It is either side, where the picture is left of the prompt
(a phone on its side, a desktop window at 200 % zoom), or upright, where it is above. touch: nothing can be
hovered over, so what is needed is always shown.
"""


def resolved(style_sheet: str) -> str:
    """A style sheet with each `(--NAME)` in place of the layout's condition. CSS has no variables in media
    queries; this is the notation of its draft for them (Media Queries Level 5, custom media)."""
    for name, condition in LAYOUTS.items():
        style_sheet = style_sheet.replace(f"(--{name})", condition)
    return style_sheet
