"""Validates edits of models.json and loras.json made in the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from .config_file import EditConflictError, changed_meanwhile
from .defaults import Defaults, with_defaults

TEXTS = {"trigger": 500, "description": 4000, "preview": 255}
"""Maximum length of each text, in characters."""
MAX_TAGS, MAX_TAG = 40, 80
WORDS = frozenset({"trigger", "weight", "description", "tags"})
"""Values written by the user, which must not be overwritten unseen."""
SHOWN = (*TEXTS, "weight", "tags", "favourite")
"""Keys of loras.json shown in the page."""


def checked_lora_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Validate values for loras.json. Raises `RequestError` for an invalid key or value."""
    checked: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in (*TEXTS, "weight", "tags", "favourite"):
            raise RequestError(f"A LoRA has no {str(key)[:40]!r} to change.")
        if value is None:
            checked[key] = None
        elif key == "weight":
            if isinstance(value, bool) or not isinstance(value, int | float) or not -2 <= value <= 2:
                raise RequestError("The default weight must be a number from -2 to 2.")
            checked[key] = value
        elif key == "favourite":
            if not isinstance(value, bool):
                raise RequestError("favourite must be true or false.")
            checked[key] = value
        elif key == "tags":
            checked[key] = _tags(value)
        else:
            checked[key] = _text(key, value)
    return checked


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise RequestError(f"The {key} must be text.")
    if len(value) > TEXTS[key]:
        raise RequestError(f"The {key} has {len(value):,} characters; at most {TEXTS[key]:,} are possible.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(f"The {key} holds a broken character (half of a surrogate pair).") from None
    return value.strip()


def _tags(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RequestError("The tags must be a list of texts.")
    tags = [each.strip() for each in value if each.strip()]
    if len(tags) > MAX_TAGS or any(len(each) > MAX_TAG for each in tags):
        raise RequestError(f"At most {MAX_TAGS} tags of {MAX_TAG} characters are possible.")
    return tags


def checked_defaults(suggested: Defaults, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Validate defaults for models.json. Raises `RequestError` for a value that no request may have."""
    unknown = next((key for key in changes if key not in suggested.__dataclass_fields__), None)
    if unknown is not None:
        raise RequestError(f"A checkpoint has no default {str(unknown)[:40]!r}.")
    problems: list[str] = []
    with_defaults(suggested, dict(changes), "", problems)
    if problems:
        raise RequestError(problems[0].removeprefix(": ").removesuffix(" It has no effect."))
    return dict(changes)


def check_seen(
    name: str, suggested: Defaults, noted: Any, changes: Mapping[str, Any], seen: Mapping[str, Any]
) -> None:
    """Raises `EditConflictError` if a default to change is no longer what the user saw.

    `noted`: the defaults in models.json; `seen`: the defaults shown in the page, including suggested ones.
    """
    now = with_defaults(suggested, noted, "", [])
    for key in changes:
        if key in seen and getattr(now, key) != seen[key]:
            raise EditConflictError(changed_meanwhile(key, name, getattr(now, key)), key)
