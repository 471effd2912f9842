"""What other programs note beside a LoRA: AUTOMATIC1111's NAME.json and Civitai's NAME.civitai.info."""

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
"""Trained words that are looked at."""


def read_sidecar(path: Path) -> dict[str, Any]:
    """`trigger`, `weight`, `description`, `notes`, `negative`, `base`, `tags`, as far as it says them.

    Raises `ModelError` where it cannot be read. Values that are not what they should be count as not said.
    """
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableModelError(f"{path.name} cannot be read ({reason}).", reason) from None
    except ValueError:
        raise ModelError(f"{path.name} is too large for notes about a model; it is left alone.") from None
    try:
        said = json.loads(data)  # UTF-8, 16 or 32, told by its first bytes
    except (ValueError, RecursionError):
        raise ModelError(f"{path.name} is not valid JSON; it is left as it is.") from None
    if not isinstance(said, dict):
        raise ModelError(f"{path.name} holds no table in braces, so it says nothing; it is left as it is.")
    found = _civitai(said) if path.name.endswith(".civitai.info") else _automatic1111(said)
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _automatic1111(said: dict[str, Any]) -> dict[str, Any]:
    weight = said.get("preferred weight")
    return {
        "trigger": phrase(said.get("activation text")),
        # 0 is what AUTOMATIC1111 writes where nothing was chosen.
        "weight": weight if _number(weight) and weight else None,
        "description": _text(said.get("description")),
        "notes": _text(said.get("notes")),
        "negative": _text(said.get("negative text")),
        "base": _text(said.get("sd version")),
    }


def _civitai(said: dict[str, Any]) -> dict[str, Any]:
    model = said.get("model") if isinstance(said.get("model"), dict) else {}
    assert isinstance(model, dict)
    trained = said.get("trainedWords")
    words = [phrase(word) for word in trained[:MAX_WORDS]] if isinstance(trained, list) else []
    tags = model.get("tags")
    return {
        "trigger": next(filter(None, words), None),
        # Which of several words is wanted only a person can tell: the first is the trigger, all are shown.
        "notes": shortened(f"Trained words: {'; '.join(filter(None, words))}") if len(words) > 1 else None,
        "description": _plain(_text(said.get("description")) or _text(model.get("description"))),
        "base": _text(said.get("baseModel")),
        "tags": [_text(tag)[:80] for tag in tags[:20] if _text(tag)] if isinstance(tags, list) else None,
    }


def _text(value: Any) -> str:
    return shortened(readable(value[: 2 * MAX_TEXT]).strip()) if isinstance(value, str) else ""


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """At most about so many characters, and a word where some are left out."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … (the rest is left out)"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(markup: str) -> str:
    """Civitai's descriptions are HTML; what people read of them."""
    text = re.sub(r"<(br|/p|/li|/h\d)\b[^>]*>", "\n", markup, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
