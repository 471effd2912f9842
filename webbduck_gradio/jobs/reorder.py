"""Reordering of the queue: pure functions on lists of job ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..errors import RequestError

Where = int | Literal["up", "down", "top", "bottom"]
"""A position (1 = next), or a direction."""


def moved(order: Sequence[str], chosen: Sequence[str], to: Where) -> list[str]:
    """The new order after moving the `chosen` ids, all of them in `order`.

    "up" and "down" move each by one place and keep their distances, except at the end of the queue.
    A position is that of the first chosen id afterwards; the others follow it in their order.
    Raises `RequestError` for an invalid position.
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
    """Swap each picked id with its predecessor, unless that is picked too."""
    for place in range(1, len(order)):
        if order[place] in picked and order[place - 1] not in picked:
            order[place - 1], order[place] = order[place], order[place - 1]
    return order
