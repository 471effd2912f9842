"""YAML of other programs: mappings of text, read within bounds.

Only structure is taken, never a type: each scalar is its text, so that a folder called 2024 or on keeps its
name. Depth and size are bounded before anything is built, and aliases by what they unfold to.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_EVENTS = 20_000
MAX_DEPTH = 12
MAX_NODES = 20_000
"""Values, each alias counted as what it stands for."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """Dicts, lists, texts and None. Raises `ValueError` for anything else than YAML of modest size."""
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if number > MAX_EVENTS or depth > MAX_DEPTH:
                raise ValueError("too large")
        return _Plain().of(yaml.compose(text, Loader=_Loader), MAX_DEPTH)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None


class _Plain:
    def __init__(self) -> None:
        self._left = MAX_NODES

    def of(self, node: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise ValueError("too large")
        if isinstance(node, yaml.MappingNode):
            pairs = [(self.of(key, 0), value) for key, value in node.value]
            merged: dict[str, Any] = {}
            for key, value in pairs:
                if key == "<<":
                    found = self.of(value, depth - 1)
                    for each in found if isinstance(found, list) else [found]:
                        merged = {**each, **merged} if isinstance(each, dict) else merged
            own = {str(key): self.of(value, depth - 1) for key, value in pairs if key != "<<"}
            return merged | own
        if isinstance(node, yaml.SequenceNode):
            return [self.of(each, depth - 1) for each in node.value]
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else str(node.value)
