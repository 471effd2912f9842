"""How many models lie in another program's folder, told by the names of its files before any is opened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from .. import wildcards
from ..scan import ENDINGS, Folders
from ..style_rows import read_rows
from .candidates import foreign_candidates
from .folders import Kind, ModelFolder

EITHER = "file"
"""Stands for the kinds of a model that lies where there are models of several; its header tells which it
is."""
_ENDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"detect": (".onnx", ".pt", ".safetensors"), "wildcards": wildcards.ENDINGS}
)
"""Of the kinds whose files are other ones than those with weights."""


def counts(folders: Iterable[ModelFolder]) -> dict[str, int]:
    """How many models of each kind there are, or of `EITHER`; kinds without any are left out."""
    kinds: dict[str, set[Kind]] = defaultdict(set)
    for folder in folders:
        for each in _models(folder):
            kinds[each].add(folder.kind)
    return dict(Counter(next(iter(each)) if len(each) == 1 else EITHER for each in kinds.values()))


def _models(folder: ModelFolder) -> Iterable[str]:
    """A text for each model, the same for one that lies in two folders."""
    if folder.kind == "styles":
        return _styles(folder.path)
    endings = _ENDINGS.get(folder.kind, ENDINGS)
    found = foreign_candidates([folder], (), Folders(), folders=True, endings=endings)
    return [str(each.real) for each in found]


def _styles(file: Path) -> list[str]:
    try:
        rows = read_rows(file).rows
    except (OSError, ValueError):
        return []
    return [f"{file}\n{row.name}" for row in rows if row.prompt or row.negative_prompt]
