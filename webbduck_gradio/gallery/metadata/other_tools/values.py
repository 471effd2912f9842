"""What a reader of another program's settings answers, and checked access to data of any shape."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ....request import SETTINGS

MAX_TEXT = 2**20
"""Longest text of another program that is taken apart, in characters."""
MAX_LORAS = 64
MODEL_ENDINGS = (".safetensors", ".sft", ".ckpt", ".gguf", ".pth", ".pt", ".bin")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_LORA_TAG = re.compile(
    r"<(lora|lyco|locon|hypernet):([^<>:\n]{1,255})((?::[^<>:\n]{0,255}){0,8})>", re.IGNORECASE
)


@dataclass(frozen=True)
class ForeignSettings:
    """What a program tells of a picture.

    `settings`: keys as in `GenerationRequest`, as far as the program tells, plus `schedule` (the schedule
    type, where it is named apart from the sampler), `model_hash`, `lora_hashes` (by name), `paths` (names
    with their folders, by name), and `clip_skip` as A1111 counts it. `notes`: a sentence for everything that
    was left out or means something else here.
    """

    tool: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def known(settings: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """What is told, with the right types: numbers as numbers, names without folder and ending.

    A value of another type is left out, with a sentence in `notes`. `paths` tells the folders of the names
    that had one.
    """
    checked: dict[str, Any] = {}
    paths = dict(_foldered(settings))
    for key, value in settings.items():
        if value is None or value == "None":
            continue
        wanted = _checked(key, value, notes)
        if wanted is None:
            if not (isinstance(value, str) and not value.strip()):
                notes.append(f"The picture's {key.replace('_', ' ')} cannot be read: {shown(value)}.")
        elif wanted not in ([], {}):
            checked[key] = wanted
    return checked | ({"paths": paths} if paths else {})


def single_keys(tool: str, data: Mapping[Any, Any]) -> dict[str, Any]:
    """Fields of a request that one key each of another program's settings tells, as it wrote them."""
    return {
        name: data.get(setting.other_tools[tool])
        for name, setting in SETTINGS.items()
        if tool in setting.other_tools
    }


def _foldered(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """ "NAME", "xl/NAME" of the models that are told with their folder."""
    loras = [table(lora).get("name") for lora in rows(settings.get("loras"))[:MAX_LORAS]]
    for told in (settings.get("base_model"), settings.get("second_pass_model"), *loras):
        plain = model_path(told)
        if plain is not None and isinstance(told, str):
            path = text(told).strip().replace("\\", "/")
            if "/" in path:
                yield plain, path


def _checked(key: str, value: object, notes: list[str]) -> Any:
    setting = SETTINGS.get(key)
    if setting is not None and setting.is_number:
        return whole(value) if setting.is_whole else number(value)
    if setting is not None and setting.control == "model":
        return model_path(value)
    if key == "loras":
        return _loras(value, notes)
    if key == "lora_hashes":
        return {text(name): text(each) for name, each in table(value).items() if isinstance(each, str)}
    return text(value) if isinstance(value, str) else None


def _loras(value: object, notes: list[str]) -> list[dict[str, Any]]:
    """Each LoRA once: programs name the same one in two places."""
    kept: dict[str, dict[str, Any]] = {}
    for lora in rows(value):
        name = model_path(table(lora).get("name"))
        if name is None:
            continue
        weight = number(table(lora).get("weight", 1.0))
        if weight is None:
            notes.append(f"The weight of the LoRA {name} cannot be read; its usual one is taken.")
        if len(kept) < MAX_LORAS:
            kept.setdefault(name, {"name": name, "weight": weight})
        elif name not in kept:
            notes.append(f"The picture names more than {MAX_LORAS} LoRAs; the others were left out.")
            break
    return list(kept.values())


def number(value: object) -> float | None:
    """A finite number, also when written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value) if not isinstance(value, str) or len(value) < 64 else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number of at most 18 digits, also as text or as 20.0; None for anything else."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = int(value) if len(value) < 32 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**64 else None
    found = number(value)
    return int(found) if found is not None and found.is_integer() and abs(found) < 2**53 else None


def text(value: object) -> str:
    """Text that any file and database takes: half surrogate pairs are replaced; "" for what is no text."""
    return _HALF_PAIR.sub("\ufffd", value).replace("\0", "") if isinstance(value, str) else ""


def table(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def json_value(source: object) -> Any:
    """The value of a JSON text; None where it is none, or too long. A table or list is answered as it is."""
    if isinstance(source, (dict, list)):
        return source
    if not isinstance(source, str) or len(source) > 4 * MAX_TEXT:
        return None
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def model_path(name: object) -> str | None:
    """The name of a model without folder and ending, "NAME" of "xl\\NAME.safetensors"; None for no name."""
    if isinstance(name, dict):  # some nodes keep a preview beside the name
        name = name.get("content") or name.get("name") or name.get("model_name")
    if not isinstance(name, str) or not name.strip() or name.strip() == "None" or len(name) > 1024:
        return None
    plain = PurePosixPath(text(name).strip().replace("\\", "/")).name
    return next((plain[: -len(end)] for end in MODEL_ENDINGS if plain.lower().endswith(end)), plain) or None


def shown(value: object, length: int = 60) -> str:
    """A value for a sentence, shortened."""
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    short = " ".join(text(value if isinstance(value, str) else repr(value))[: 4 * length].split())
    return short if len(short) <= length else short[: length - 3] + "..."


def listed(names: Iterable[str], most: int = 12) -> str:
    """'a, b and 3 more': what is left out of the list is counted."""
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - most} more" if len(once) > most else ""
    return ", ".join(once[:most]) + more


def lora_tags(prompt: str) -> tuple[str, list[dict[str, Any]], list[str]]:
    """The prompt without its `<lora:NAME:WEIGHT>` tags, the LoRAs with their weights, and notes.

    `<lyco:...>` and `<locon:...>` are read alike, as AUTOMATIC1111 does. A tag without a weight means 1. Of a
    tag with two weights (text encoders, UNet) the UNet's is taken, with a note.
    """
    loras: list[dict[str, Any]] = []
    notes: list[str] = []
    for tag in _LORA_TAG.finditer(prompt):
        kind, name, parts = tag[1], tag[2].strip(), [part.strip() for part in tag[3].split(":")[1:]]
        if kind.casefold() == "hypernet":
            notes.append(f"{shown(tag[0])} was left out: there are no hypernetworks here.")
            continue
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        plain = [part for part in parts if "=" not in part]
        encoders = number(named.pop("te", plain[0] if plain else 1.0))
        unet = number(named.pop("unet", plain[1] if len(plain) > 1 else encoders))
        if unet is None or encoders is None:
            notes.append(f"{shown(tag[0])} was left out: its weight is no number.")
            continue
        if unet != encoders:
            notes.append(
                f"{shown(tag[0])} has the weight {encoders:g} for the text encoders and {unet:g} for the "
                f"UNet; here a LoRA has one weight, and {unet:g} was taken."
            )
        if named or len(plain) > 2:
            more = [f"{key}={value}" for key, value in named.items()] + plain[2:]
            notes.append(f"Of {shown(tag[0])} this was left out: {shown(listed(more))}.")
        loras.append({"name": name, "weight": unet})
    if not _LORA_TAG.search(prompt):
        return prompt, [], []
    words = re.sub(r"[ \t]{1,8}(?=,|$)", "", _LORA_TAG.sub("", prompt))
    return words.strip(), loras, notes
