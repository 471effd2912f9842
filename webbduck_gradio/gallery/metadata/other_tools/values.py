"""The result type of all readers, and type-checked access to untrusted JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ....models.lora_tags import NAMED as TAG_KEYS
from ....models.lora_tags import settings_of as settings_of_tag
from ....request import DETAIL_SETTINGS, SETTINGS

MAX_TEXT = 2**20
"""Maximum length of a text to be parsed, in characters."""
MAX_LORAS = 64
UNKNOWN_STEPS = 30
"""Where a tag counts steps and nobody says of how many."""
MODEL_ENDINGS = (".safetensors", ".sft", ".ckpt", ".gguf", ".pth", ".pt", ".bin", ".onnx")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LORA_TAG = re.compile(
    r"<(lora|lyco|locon|hypernet):([^<>:\n]{1,255})((?::[^<>:\n]{0,255}){0,8})>", re.IGNORECASE
)


@dataclass(frozen=True)
class ForeignSettings:
    """Settings that another program recorded in an image.

    `settings`: keys as in `GenerationRequest`, as far as recorded, plus `schedule` (the schedule type, if
    separate from the sampler), `model_hash`, `lora_hashes` and `embedding_hashes` (by name), `paths`
    (name -> name with folder) and `clip_skip` as A1111 counts it. `notes`: a sentence for everything left out
    or different here.
    """

    tool: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def known(settings: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Settings with the right types: numbers as numbers, names without folder and extension.

    A value of the wrong type is left out, with a sentence in `notes`. `paths` has the names that were
    recorded with a folder.
    """
    checked: dict[str, Any] = {}
    paths = dict(_paths(settings))
    for key, value in settings.items():
        if value is None or value == "None":
            continue
        valid = _checked(key, value, notes)
        if valid is None:
            if not (isinstance(value, str) and not value.strip()):
                notes.append(f"The picture's {key.replace('_', ' ')} cannot be read: {shown(value)}.")
        elif valid not in ([], {}):
            checked[key] = valid
    return checked | ({"paths": paths} if paths else {})


def single_keys(tool: str, data: Mapping[Any, Any]) -> dict[str, Any]:
    """Request fields that correspond to one key each of another program, with its raw values."""
    return {
        name: data.get(setting.other_tools[tool])
        for name, setting in SETTINGS.items()
        if tool in setting.other_tools
    }


def _paths(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """("NAME", "xl/NAME") for each model recorded with a folder."""
    loras = [table(lora).get("name") for lora in rows(settings.get("loras"))[:MAX_LORAS]]
    for name in (settings.get("base_model"), settings.get("second_pass_model"), *loras):
        plain = model_path(name)
        if plain is not None and isinstance(name, str):
            path = text(name).strip().replace("\\", "/")
            if "/" in path:
                yield plain, path


def _checked(key: str, value: object, notes: list[str]) -> Any:
    setting = SETTINGS.get(key)
    if setting is not None and setting.is_number:
        return whole(value) if setting.is_whole else number(value)
    if setting is not None and setting.control == "model":
        return model_path(value)
    if key == "vae":
        return model_path(value) or ("" if value == "" else None)
    if key == "loras":
        return _loras(value, notes)
    if key == "details":
        return [_detail(table(each), notes) for each in rows(value)]
    if key in ("lora_hashes", "embedding_hashes"):
        return {text(name): text(each) for name, each in table(value).items() if isinstance(each, str)}
    return text(value) if isinstance(value, str) else None


def _loras(value: object, notes: list[str]) -> list[dict[str, Any]]:
    """LoRAs without duplicates: some programs record the same one in two places."""
    kept: dict[str, dict[str, Any]] = {}
    for lora in rows(value):
        name = model_path(table(lora).get("name"))
        if name is None:
            continue
        weight = number(table(lora).get("weight", 1.0))
        if weight is None:
            notes.append(f"The weight of the LoRA {name} cannot be read; its default is used.")
        if len(kept) < MAX_LORAS:
            more = {key: lora[key] for key in ("te_weight", "blocks", "start", "end") if key in lora}
            kept.setdefault(name, {"name": name, "weight": weight, **more})
        elif name not in kept:
            notes.append(f"The picture names more than {MAX_LORAS} LoRAs; the others were left out.")
            break
    return list(kept.values())


def _detail(told: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """A detail pass with the right types."""
    checked: dict[str, Any] = {}
    for name, value in told.items():
        setting = DETAIL_SETTINGS[name]
        valid: Any = value
        if setting.is_number:
            valid = whole(value) if setting.is_whole else number(value)
        elif name == "detector":
            valid = model_path(value)
        if valid is None:
            notes.append(f"The {setting.label_in_sentence} of a detail pass cannot be read: {shown(value)}.")
        else:
            checked[name] = valid
    return checked


def number(value: object) -> float | None:
    """A finite number, also given as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value) if not isinstance(value, str) or len(value) < 64 else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """An integer below 2**64, also given as text or as 20.0; None for anything else."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = int(value) if len(value) < 32 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**64 else None
    found = number(value)
    return int(found) if found is not None and found.is_integer() and abs(found) < 2**53 else None


def text(value: object) -> str:
    """Text safe for files and databases: no lone surrogates, no NUL; "" for other types."""
    return _LONE_SURROGATE.sub("\ufffd", value).replace("\0", "") if isinstance(value, str) else ""


def table(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def json_value(source: object) -> Any:
    """Parse JSON text; None if invalid or too long. A dict or list is returned unchanged."""
    if isinstance(source, (dict, list)):
        return source
    if not isinstance(source, str) or len(source) > 4 * MAX_TEXT:
        return None
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def model_path(name: object) -> str | None:
    """Model name without folder and extension: "NAME" for "xl\\NAME.safetensors". None if there is none."""
    if isinstance(name, dict):  # some nodes store a preview along with the name
        name = name.get("content") or name.get("name") or name.get("model_name")
    if not isinstance(name, str) or not name.strip() or name.strip() == "None" or len(name) > 1024:
        return None
    plain = PurePosixPath(text(name).strip().replace("\\", "/")).name
    return next((plain[: -len(end)] for end in MODEL_ENDINGS if plain.lower().endswith(end)), plain) or None


def shown(value: object, length: int = 60) -> str:
    """A value for display in a sentence, shortened to `length` characters."""
    if isinstance(value, (dict, list)):
        return "a JSON object" if isinstance(value, dict) else "a list"
    short = " ".join(text(value if isinstance(value, str) else repr(value))[: 4 * length].split())
    return short if len(short) <= length else short[: length - 3] + "..."


def listed(names: Iterable[str], most: int = 12) -> str:
    """'a, b and 3 more': unique names, at most `most` of them."""
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - most} more" if len(once) > most else ""
    return ", ".join(once[:most]) + more


def lora_tags(prompt: str, steps: int = 0) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The prompt without `<lora:NAME:...>` tags, the LoRAs with what the tags say, and notes.

    `<lyco:...>` and `<locon:...>` are equivalent, as in AUTOMATIC1111. The default weight is 1. `steps`: of
    the first pass, 0 = unknown.
    """
    loras: list[dict[str, Any]] = []
    notes: list[str] = []
    for tag in _LORA_TAG.finditer(prompt):
        kind, name, parts = tag[1], tag[2].strip(), [part.strip() for part in tag[3].split(":")[1:]]
        if kind.casefold() == "hypernet":
            notes.append(f"{shown(tag[0])} was left out: there are no hypernetworks here.")
            continue
        known = [part for part in parts if "=" not in part or part.split("=")[0].strip() in TAG_KEYS]
        left = [part for part in parts if part not in known]
        try:
            told = settings_of_tag(known, steps or UNKNOWN_STEPS)
        except ValueError as error:
            notes.append(f"{shown(tag[0])} was left out: it {error}.")
            continue
        if left:
            notes.append(f"Of {shown(tag[0])} this was left out: {shown(listed(left))}.")
        loras.append({"name": name, "weight": 1.0, **told})
    if not _LORA_TAG.search(prompt):
        return prompt, [], []
    words = re.sub(r"[ \t]{1,8}(?=,|$)", "", _LORA_TAG.sub("", prompt))
    return words.strip(), loras, notes
