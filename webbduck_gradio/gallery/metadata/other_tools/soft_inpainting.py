"""Soft inpainting of A1111 and Forge, an extension that comes with them."""

from __future__ import annotations

from collections.abc import Mapping

ENABLED = "Soft inpainting enabled"

ANOTHER_RULE = (
    "Its soft inpainting blends the steps by a rule of its own; here grey parts are drawn in fewer steps "
    "instead, so they come out differently."
)


def read(fields: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """What is said about it as fields of a request; {} where nothing is. `fields` by their names in small
    letters. Its numbers have no counterpart here."""
    if fields.get(ENABLED.casefold()) != "True":
        return {}
    notes.append(ANOTHER_RULE)
    return {"soft_inpainting": "on"}
