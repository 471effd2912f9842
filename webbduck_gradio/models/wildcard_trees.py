"""Trees of lists of words in YAML and JSON, as sd-dynamic-prompts has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ..storage.reading import parse_json

MAX_VALUES = 200_000
"""Values of one file."""
MAX_DEPTH = 16
"""Levels of a tree."""
NAMED = 5
"""Left-out values of a tree that a sentence names."""
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str, is_json: bool) -> tuple[dict[str, list[str]], list[str]]:
    """The lists of a tree by the way to them, and the ways to what is left out, being no list of words.

    Raises `ValueError`, with why in brackets where that is known.
    """
    skipped: list[str] = []
    try:
        tree = parse_json(text) if is_json else yaml.load(text, _TreeLoader)
        return dict(_leaves(tree, skipped)), skipped
    except _TreeError as error:
        raise ValueError(f" ({error})") from None
    except (ValueError, yaml.YAMLError, RecursionError):
        raise ValueError("") from None


def left_out(file: str, ways: list[str]) -> str:
    """A sentence about what of a file is no list; "" if there is nothing."""
    if not ways:
        return ""
    more = f" and {len(ways) - NAMED:,} more" if len(ways) > NAMED else ""
    are = "are" if len(ways) > 1 else "is"
    return f"{file}: {', '.join(ways[:NAMED])}{more} {are} left out; a tree holds lists of words only."


class _TreeError(ValueError):
    """Why a tree is not read."""


class _TreeLoader(_SafeLoader):
    """Reads YAML whose merges (`<<`) add at most `MAX_VALUES` keys in all."""

    _merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(each, yaml.MappingNode):
                        self.flatten_mapping(each)
                        self._merged += len(each.value)
                    if self._merged > MAX_VALUES:
                        raise _TreeError(f"more than {MAX_VALUES:,} values")
        super().flatten_mapping(node)


def _leaves(tree: Any, skipped: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The lists of a tree with the way to them; the ways to what is neither a list nor a branch, and so is
    left out, go into `skipped`."""
    left = MAX_VALUES
    stack: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    while stack:
        way, node = stack.pop()
        left -= 1
        if isinstance(node, dict):
            if len(way) >= MAX_DEPTH:
                raise _TreeError(f"more than {MAX_DEPTH} levels")
            stack += [((*way, str(key)), child) for key, child in node.items()]
        elif isinstance(node, list):
            left -= len(node)
            leaf = []
            for number, each in enumerate(node, 1):
                if isinstance(each, bool) or not isinstance(each, str | int | float):
                    if each is not None:
                        skipped.append("/".join((*way, str(number))))
                elif text := str(each).strip():
                    leaf.append(text)
            if leaf:
                yield "/".join(way), leaf
        elif node is not None:
            skipped.append("/".join(way) or "its content")
        if left - len(stack) < 0:
            raise _TreeError(f"more than {MAX_VALUES:,} values")
