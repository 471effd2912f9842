"""Sidecar files of models: what other programs note beside NAME.safetensors.

AUTOMATIC1111 writes NAME.json and takes NAME.txt for a description, Civitai's helpers write
NAME.civitai.info, SwarmUI NAME.swarm.json, StabilityMatrix NAME.cm-info.json, and ComfyUI's LoRA Manager
NAME.metadata.json. InvokeAI keeps the same in its database.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Mapping
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
    if path.suffix == ".txt":
        # AUTOMATIC1111 takes what is no UTF-8 as it can, too.
        return _present({"description": _text(data.decode("utf-8-sig", "replace"))})
    try:
        data_fields = json.loads(data)  # json detects UTF-8, 16 and 32
    except (ValueError, RecursionError):
        raise ModelError(f"{path.name} is not valid JSON; it is ignored.") from None
    if not isinstance(data_fields, dict):
        raise ModelError(f"{path.name} must contain a JSON object; it is ignored.")
    read = next((read for ending, read in READERS.items() if path.name.endswith(ending)), _automatic1111)
    return _present(read(data_fields))


def notes_of_invokeai(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a model's record in InvokeAI's database."""
    settings = record.get("default_settings")
    trigger, more = _words(record.get("trigger_phrases"))
    return _present(
        {
            "trigger": trigger,
            "weight": _weight(settings.get("weight")) if isinstance(settings, dict) else None,
            "description": _text(record.get("description")),
            "notes": more,
            "base": _text(record.get("base")),
        }
    )


def _present(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _automatic1111(data_fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trigger": phrase(data_fields.get("activation text")),
        "weight": _weight(data_fields.get("preferred weight")),
        "description": _text(data_fields.get("description")),
        "notes": _text(data_fields.get("notes")),
        "negative": _text(data_fields.get("negative text")),
        "base": _text(data_fields.get("sd version")),
    }


def _civitai(data_fields: Mapping[str, Any]) -> dict[str, Any]:
    model = _object(data_fields.get("model"))
    return _downloaded(
        data_fields.get("trainedWords"),
        _text(data_fields.get("description")) or _text(model.get("description")),
        data_fields.get("baseModel"),
        model.get("tags"),
    )


def _downloaded(words: object, description: str, base: object, tags: object) -> dict[str, Any]:
    """What Civitai says of a model."""
    trigger, more = _words(words)
    return {
        "trigger": trigger,
        "notes": more,
        "description": _html_to_text(description),
        "base": _text(base),
        "tags": _tags(tags),
    }


def _lora_manager(data_fields: Mapping[str, Any]) -> dict[str, Any]:
    """ComfyUI's LoRA Manager, which keeps Civitai's answer inside its own."""
    civitai = data_fields.get("civitai")
    found = _present(_civitai(civitai if isinstance(civitai, dict) else {}))
    own = {
        "weight": _weight(_object(data_fields.get("usage_tips")).get("strength")),
        "description": _html_to_text(_text(data_fields.get("modelDescription"))),
        "base": _text(data_fields.get("base_model")),
        "tags": _tags(data_fields.get("tags")),
        "notes": "\n".join(filter(None, (_text(data_fields.get("notes")), found.get("notes")))),
    }
    return found | _present(own)


def _stability_matrix(data_fields: Mapping[str, Any]) -> dict[str, Any]:
    return _downloaded(
        data_fields.get("TrainedWords"),
        _text(data_fields.get("ModelDescription")) or _text(data_fields.get("VersionDescription")),
        data_fields.get("BaseModel"),
        data_fields.get("Tags"),
    )


def _swarmui(data_fields: Mapping[str, Any]) -> dict[str, Any]:
    spec = {key.removeprefix("modelspec."): value for key, value in data_fields.items()}
    tags = spec.get("tags")
    return {
        "trigger": phrase(spec.get("trigger_phrase")),
        "weight": _weight(spec.get("lora_default_weight")),
        "description": _html_to_text(_text(spec.get("description"))),
        "notes": _text(spec.get("usage_hint")),
        "base": _text(spec.get("class")) or _text(spec.get("architecture")),
        "tags": _tags(tags.split(",") if isinstance(tags, str) else tags),
    }


READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    ".metadata.json": _lora_manager,
    ".swarm.json": _swarmui,
    ".cm-info.json": _stability_matrix,
    ".civitai.info": _civitai,
}
"""By the ending of a file's name; others are AUTOMATIC1111's."""


def _words(trained: Any) -> tuple[str | None, str | None]:
    """The trigger of trained words, and a note that has all of them where they are several.

    Only the user can decide which words to use: the first is the trigger, all are shown.
    """
    words = [phrase(word) for word in trained[:MAX_WORDS]] if isinstance(trained, list) else []
    words = list(filter(None, words))
    more = shortened(f"Trained words: {'; '.join(words)}") if len(words) > 1 else None
    return next(iter(words), None), more


def _weight(value: Any) -> float | None:
    """A weight; None for 0 too, which AUTOMATIC1111 writes if none was set. SwarmUI writes text."""
    if isinstance(value, str):
        try:
            value = float(value[:32])
        except ValueError:
            return None
    return value if _is_number(value) and value else None


def _tags(tags: Any) -> list[str] | None:
    found = [_text(tag)[:80] for tag in tags[:20]] if isinstance(tags, list) else []
    return list(filter(None, found)) or None


def _object(text: Any) -> Mapping[str, Any]:
    """JSON inside JSON."""
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return shortened(readable(value[: 2 * MAX_TEXT]).strip()) if isinstance(value, str) else ""


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """The text cut to about `most` characters, with a remark if it was cut."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … (the rest is left out)"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a number of hundreds of digits
        return False


def _html_to_text(markup: str) -> str:
    """The text of Civitai's HTML descriptions."""
    text = re.sub(r"<(br|/p|/li|/h\d)\b[^>]*>", "\n", markup, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
