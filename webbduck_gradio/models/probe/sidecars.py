"""Sidecar files of LoRAs: AUTOMATIC1111's NAME.json and Civitai's NAME.civitai.info."""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import Any

from ...errors import ModelError, UnreadableModelError
from ...storage.reading import read_regular
from ..triggers import phrase, readable

MAX_BYTES = 4_000_000
MAX_TEXT = 4000
MAX_WORDS = 200
"""Limit on trained words read."""


def read_sidecar(path: Path) -> dict[str, Any]:
    """`trigger`, `weight`, `description`, `notes`, `negative`, `base`, `tags`, as far as present.

    Raises `ModelError` if the file cannot be read. Values of the wrong type are ignored.
    """
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableModelError(f"{path.name} cannot be read ({reason}).", reason) from None
    except ValueError:
        raise ModelError(f"{path.name} is too large for a sidecar file; it is ignored.") from None
    try:
        data_fields = json.loads(data)  # json detects UTF-8, 16 and 32
    except (ValueError, RecursionError):
        raise ModelError(f"{path.name} is not valid JSON; it is ignored.") from None
    if not isinstance(data_fields, dict):
        raise ModelError(f"{path.name} must contain a JSON object; it is ignored.")
    found = _civitai(data_fields) if path.name.endswith(".civitai.info") else _automatic1111(data_fields)
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _automatic1111(data_fields: dict[str, Any]) -> dict[str, Any]:
    weight = data_fields.get("preferred weight")
    return {
        "trigger": phrase(data_fields.get("activation text")),
        # AUTOMATIC1111 writes 0 if no weight was set.
        "weight": weight if _is_number(weight) and weight else None,
        "description": _text(data_fields.get("description")),
        "notes": _text(data_fields.get("notes")),
        "negative": _text(data_fields.get("negative text")),
        "base": _text(data_fields.get("sd version")),
    }


def _civitai(data_fields: dict[str, Any]) -> dict[str, Any]:
    model = data_fields.get("model") if isinstance(data_fields.get("model"), dict) else {}
    assert isinstance(model, dict)
    trained = data_fields.get("trainedWords")
    words = [phrase(word) for word in trained[:MAX_WORDS]] if isinstance(trained, list) else []
    tags = model.get("tags")
    return {
        "trigger": next(filter(None, words), None),
        # Only the user can decide which words to use: the first is the trigger, all are shown.
        "notes": shortened(f"Trained words: {'; '.join(filter(None, words))}") if len(words) > 1 else None,
        "description": _html_to_text(
            _text(data_fields.get("description")) or _text(model.get("description"))
        ),
        "base": _text(data_fields.get("baseModel")),
        "tags": [_text(tag)[:80] for tag in tags[:20] if _text(tag)] if isinstance(tags, list) else None,
    }


def _text(value: Any) -> str:
    return shortened(readable(value[: 2 * MAX_TEXT]).strip()) if isinstance(value, str) else ""


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """The text cut to about `most` characters, with a remark if it was cut."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … (the rest is left out)"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _html_to_text(markup: str) -> str:
    """The text of Civitai's HTML descriptions."""
    text = re.sub(r"<(br|/p|/li|/h\d)\b[^>]*>", "\n", markup, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
