"""Lists of words, in `wildcards`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..settings import Settings
from ..storage.reading import read_regular
from .scan import is_text


@dataclass(frozen=True)
class Wildcard:
    """A text file in `wildcards`, one choice in a line; comments begin with #."""

    name: str
    path: Path
    lines: int
    unusable: str | None


def find_wildcards(settings: Settings) -> tuple[Wildcard, ...]:
    """By their path below `wildcards`, without `.txt`."""
    root = settings.wildcards
    found = []
    for path in sorted(root.rglob("*.txt")):
        name = path.relative_to(root).as_posix().removesuffix(".txt")
        if not is_text(name):
            continue
        try:
            lines = read_regular(path).decode("utf-8-sig").splitlines()
        except (OSError, ValueError):
            found.append(Wildcard(name, path, 0, f"{path.name} cannot be read as text; save it as UTF-8."))
            continue
        choices = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        found.append(Wildcard(name, path, len(choices), None))
    return tuple(found)
