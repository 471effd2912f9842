"""The page's layouts: which windows get which. Style sheets and scripts both take them from here."""

from __future__ import annotations

import re

NARROW = "(max-width: 820px)"
LOW = "(max-height: 620px)"
SIDE = f"({LOW} and (min-width: 560px))"

LAYOUTS = {
    "narrow": NARROW,
    "side": SIDE,
    "upright": f"({NARROW} and (not {SIDE}))",
    "keyboard": f"({NARROW} and (max-height: 500px) and (not {SIDE}))",
    "sheet": f"({NARROW} or {SIDE})",
    "touch": "(hover: none)",
}
"""Media condition of each layout by name, to be combined with `and`.

sheet: the settings are in a sheet over the picture. It is either side, where the picture is left of the
prompt (a phone on its side, a desktop window at 200 % zoom), or upright, where it is above. keyboard: hardly
any height is left to an upright one, as while a phone's keyboard is up. touch: nothing can be hovered over,
so what is needed is always shown.
"""


def resolved(style_sheet: str) -> str:
    """A style sheet with the condition in place of each `(--NAME)` of a media query.

    CSS has no variables there; this is the notation of its draft for them (Media Queries Level 5, custom
    media).
    """

    def condition(named: re.Match[str]) -> str:
        return LAYOUTS[named[1]]

    return re.sub(r"@media[^{]*", lambda query: re.sub(r"\(--(\w+)\)", condition, query[0]), style_sheet)
