"""Between the value of a control that holds a list, which is JSON, and the list in a request: styles, LoRAs,
detail passes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Entry = Mapping[str, Any]


def to_request(payload: Any, entry: Callable[[Entry], Entry | None]) -> Any:
    """The request's list from the page's value, each as `entry` makes it, without those that it makes None.
    Anything malformed is passed on for validation to refuse."""
    if not payload:
        return []
    try:
        entries = json.loads(payload)
    except (TypeError, ValueError, RecursionError):
        return payload
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        return entries
    return [made for each in entries if (made := entry(each)) is not None]


def as_entries(values: Iterable[Any]) -> list[Entry]:
    """The entries of a request's list as mappings."""
    return [each if isinstance(each, Mapping) else each.model_dump(mode="json") for each in values]
