"""Where jobs go when they are moved in the queue. Pure functions on lists of ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..errors import RequestError

Where = int | Literal["up", "down", "top", "bottom"]
"""A position (1 = next), or a direction."""


def moved(order: Sequence[str], chosen: Sequence[str], to: Where) -> list[str]:
    """The new order when the `chosen` ids, all of `order`, move together.

    "up" and "down" are one place, and each of the chosen keeps its distance until it meets the end.
    A position is the one that the first of them has afterwards; the others follow in their order.
    Raises `RequestError` for a position that is none.
    """
    picked = set(chosen)
    block = [job for job in order if job in picked]
    rest = [job for job in order if job not in picked]
    if to == "top":
        return block + rest
    if to == "bottom":
        return rest + block
    if to == "up":
        return _nudged(list(order), picked)
    if to == "down":
        return _nudged(list(order)[::-1], picked)[::-1]
    last = len(order) - len(block) + 1
    if isinstance(to, bool) or not isinstance(to, int) or not 1 <= to <= last:
        places = "1" if last == 1 else f"a whole number from 1 to {last}"
        raise RequestError(f"The position must be up, down, top, bottom or {places}, not {str(to)[:40]}.")
    return rest[: to - 1] + block + rest[to - 1 :]


def _nudged(order: list[str], picked: set[str]) -> list[str]:
    """Each picked one changes places with the one before it, unless that is picked too or there is none."""
    for place in range(1, len(order)):
        if order[place] in picked and order[place - 1] not in picked:
            order[place - 1], order[place] = order[place], order[place - 1]
    return order
