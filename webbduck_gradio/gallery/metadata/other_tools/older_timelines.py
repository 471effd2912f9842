"""AUTOMATIC1111's "Old prompt editing timelines": prompts that change are counted as before its version 1.6.

There a number from 1 on was a step with or without a point, and a hires pass began the prompt anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

KEY = "old prompt editing timelines"
_CHANGE = re.compile(r"\[[^\[\]]*(?:\||:\s*[\d.]+\s*\])")
_BEFORE = re.compile(r"v?1\.[0-5]\.")
_STEP = re.compile(r":\s*0*[1-9]\d*\.\d*\s*\]")


def note(fields: Mapping[str, str], prompt: str, negative: str) -> list[str]:
    """A sentence where the older count gives another picture than that of this studio. `fields`: the pairs of
    a text by keys in small letters."""
    text = f"{prompt}\n{negative}"
    differs = _STEP.search(text) or ("hires upscale" in fields and _CHANGE.search(text))
    is_older = fields.get(KEY, "").casefold() == "true" or _BEFORE.match(fields.get("version", ""))
    if not is_older or not differs:
        return []
    return [
        "Its prompt was counted by A1111's older rule (Old prompt editing timelines): 2.0 was the second "
        "step, and the hires pass began anew; write 2 for a step, and give the hires pass its own prompt."
    ]
