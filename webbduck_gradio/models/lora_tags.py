"""What follows the name in `<lora:NAME:...>`, as AUTOMATIC1111 and its extension LoRA Block Weight read it.

    <lora:NAME:WEIGHT>   <lora:NAME:TE:UNET>   <lora:NAME:te=0.5:unet=1>
    <lora:NAME:1:lbw=OUTD>   :lbw=1,0,...   :start=5   :stop=12   :step=5-12

The first weight is that of the text encoders, the second that of the UNet (A1111's
extensions-builtin/Lora/extra_networks_lora.py). A step is a number from 1, or a share of the steps between 0
and 1; from `start` on the LoRA acts, from `stop` on no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..request import LoraSelection
from ..request.lora_blocks import LISTS, PRESETS, as_numbers, parsed

NAMED = ("te", "unet", "lbw", "start", "stop", "step")
_SPAN = re.compile(r"([\d.]+)-([\d.]+)")


def settings_of(parts: Sequence[str], steps: int) -> dict[str, Any]:
    """Fields of `LoraSelection` beside the name; no `weight` if no weight is given. `steps`: of the first
    pass. Raises `ValueError` whose text says what is wrong, without a subject."""
    plain: list[str] = []
    named: dict[str, str] = {}
    for part in map(str.strip, parts):
        key, sign, value = part.partition("=")
        if not sign:
            plain.append(part)
        elif key.strip().casefold() not in NAMED:
            raise ValueError(f"sets {part}, which is not possible")
        else:
            named[key.strip().casefold()] = value.strip()
    if plain and "lbw" not in named and _is_blocks(plain[-1]):
        named["lbw"] = plain.pop()
    if len(plain) > 2:
        raise ValueError("has more than two weights")
    found = _weights(plain, named)
    if "lbw" in named:
        try:
            found["blocks"] = parsed(named["lbw"])
        except ValueError as error:
            raise ValueError(f"has block weights that cannot be read: lbw {error}") from None
    start, stop = named.get("start"), named.get("stop")
    if "step" in named:
        span = _SPAN.fullmatch(named["step"])
        if span is None:
            raise ValueError(f"sets step={named['step']}; write step=FIRST-LAST")
        start, stop = span.groups()
    if start is not None:
        found["start"] = _share(start, steps)
    if stop is not None:
        found["end"] = _share(stop, steps)
    if found.get("start", 0.0) >= found.get("end", 1.0):
        raise ValueError("acts in no step; let it start before it stops")
    return found


def _is_blocks(text: str) -> bool:
    return text.upper() in PRESETS or text.count(",") + 1 in LISTS


def _weights(plain: Sequence[str], named: dict[str, str]) -> dict[str, Any]:
    given = dict(zip(("te", "unet"), plain, strict=False)) | {
        key: named[key] for key in ("te", "unet") if key in named
    }
    try:
        weights = {key: float(text) for key, text in given.items()}
    except ValueError:
        raise ValueError("has a weight that is not a number from -2 to 2") from None
    if not all(-2 <= each <= 2 for each in weights.values()):
        raise ValueError("has a weight that is not a number from -2 to 2")
    if not weights:
        return {}
    te = weights.get("te", 1.0)
    unet = weights.get("unet", te)
    return {"weight": unet} if unet == te else {"weight": unet, "te_weight": te}


def _share(text: str, steps: int) -> float:
    """The share of the steps that are done when this step begins."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"has a step that is not a number: {text}") from None
    if not 0 <= number < 100_000:
        raise ValueError(f"has a step that does not exist: {text}")
    step = max(1, round(number * steps)) if 0 < number < 1 else int(number)
    return min(max(step - 1, 0) / steps, 1.0)


def written(chosen: LoraSelection, steps: int) -> str:
    """What follows the name in a tag, from `:` on. Shares are rounded to the steps of a first pass of this
    many."""
    weight, te = chosen.weight, chosen.te_weight
    parts = [_number(weight)] if te is None or te == weight else [_number(te), _number(weight)]
    if chosen.blocks is not None:
        parts.append("lbw=" + ",".join(map(_number, as_numbers(chosen.blocks))))
    if chosen.start > 0:
        parts.append(f"start={round(chosen.start * steps) + 1}")
    if chosen.end < 1:
        parts.append(f"stop={round(chosen.end * steps) + 1}")
    return "".join(f":{part}" for part in parts)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(float(value), 12))
