"""models.json and loras.json: what the owner of the studio noted about their models.

The formats of the first version. Both are for people to edit: nothing is dropped or rewritten here, and
what does not fit is said in `problems`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..request import GenerationRequest


@dataclass(frozen=True)
class Defaults:
    """What a checkpoint draws best with. Sizes in pixels."""

    steps: int
    cfg: float
    width: int
    height: int
    scheduler: str


def read_notes(path: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """The table of `path`, {} where there is none; entries that are no tables are left out and reported."""
    try:
        text = path.read_text("utf-8")
        table = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(f"{path.name} cannot be read ({(error.strerror or 'unknown reason').lower()}).")
        return {}
    except json.JSONDecodeError as error:
        problems.append(f"{path.name} is not valid JSON (line {error.lineno}); it is left as it is.")
        return {}
    except (ValueError, RecursionError):
        problems.append(f"{path.name} is not valid JSON; it is left as it is.")
        return {}
    if not isinstance(table, dict):
        problems.append(f"{path.name} must hold a table in braces; it is left as it is.")
        return {}
    for name, entry in table.items():
        if not isinstance(entry, dict):
            problems.append(f"{path.name}: the entry {name!r} must be a table in braces; it has no effect.")
    return {name: entry for name, entry in table.items() if isinstance(entry, dict)}


def with_defaults(base: Defaults, noted: Any, source: str, problems: list[str]) -> Defaults:
    """`base` with the noted values in place; a value that no request could hold is reported, not used."""
    if noted is None:
        return base
    if not isinstance(noted, dict):
        problems.append(f"{source}: defaults must be a table in braces; they have no effect.")
        return base
    for key in ("steps", "cfg", "width", "height", "scheduler"):
        if noted.get(key) is None:
            continue
        try:
            checked = GenerationRequest.of(base_model="any", seed=0, **_least(base, key, noted[key]))
        except RequestError as error:
            problems.append(f"{source}: {error} It has no effect.")
            continue
        base = replace(base, **{key: getattr(checked, key)})
    return base


def _least(base: Defaults, key: str, value: Any) -> dict[str, Any]:
    sizes = {"width": base.width, "height": base.height} if key in ("width", "height") else {}
    return sizes | {key: value}


def number(entry: dict[str, Any], key: str, default: float, source: str, problems: list[str]) -> float:
    """A finite number of a note; anything else is reported and `default` stands in."""
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(f"{source}: {key} must be a number; {default:g} is used.")
        return default
    return float(value)


def text(entry: dict[str, Any], key: str, default: str, source: str, problems: list[str]) -> str:
    value = entry.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        problems.append(f"{source}: {key} must be text; it has no effect.")
        return default
    return value
