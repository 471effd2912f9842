"""Numbers and texts of ComfyUI's nodes, whether entered directly or linked from other nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import values
from .comfyui_graph import Graph, Node, is_link, links

MAX_DEPTH = 60
MAX_WORDS = 50_000
"""Maximum length of a joined text, in characters."""
PIPES = ("basic_pipe", "pipe", "sdxl_tuple", "base_ctx", "ctx", "context", "detailer_pipe", "optional_pipe")
NUMBERS = (
    "value",
    "int",
    "float",
    "number",
    "Number",
    "Value",
    "seed",
    "noise_seed",
    "INT",
    "FLOAT",
    "int_value",
)
TEXTS = ("populated_text", "text", "string", "value", "prompt", "String", "Text", "wildcard_text", "text_0",
         "prompt_text", "multiline_text", "input", "any", "anything", "source")  # fmt: skip
PRESETS = ("aspect_ratio", "resolution", "dimensions", "size_selected", "preset")
"""Inputs with a preset that overrides the node's width and height."""
SIDES = re.compile(r"(\d{2,5})\s{0,3}[x\u00d7]\s{0,3}(\d{2,5})")
CALCULATIONS = re.compile(r"math|expression|calculat|operation|scale|random", re.IGNORECASE)
_PART = re.compile(r"(?:text|string|prompt|str|input_string|part)_?([a-z]|\d{1,2})")
TEXT_CHANGING = re.compile(
    r"random|wildcard|styler|replace|regex|llm|ollama|tagger|caption|translat|interrogat|gpt|search|substring",
    re.IGNORECASE,
)
"""Nodes that change their text in ways that are not recorded."""


def input_of(graph: Graph, node: Node, *names: str) -> Any:
    """The input with one of these names, searching upstream through pipe nodes."""
    for _ in range(20):
        for name in names:
            if node.inputs.get(name) is not None:
                return node.inputs[name]
        upstream = graph.follow(next((node.inputs[pipe] for pipe in PIPES if pipe in node.inputs), None))
        if upstream is None:
            return None
        node = upstream[0]
    return None


def pipe_end(graph: Graph, node: Node) -> Node:
    """The node where a pipe begins, usually a loader with prompt inputs."""
    for _ in range(20):
        upstream = graph.follow(next((node.inputs[pipe] for pipe in PIPES if pipe in node.inputs), None))
        if upstream is None:
            return node
        node = upstream[0]
    return node


def number(graph: Graph, value: Any, name: str, notes: list[str]) -> float | int | None:
    """A number, direct or linked; None, with a note, if it would have to be computed."""
    shown = name.replace("_", " ")
    original = value
    for _ in range(MAX_DEPTH):
        if not is_link(value):
            plain = isinstance(value, (int, float)) and not isinstance(value, bool)
            found = value if plain else values.number(value)
            if found is None and value is not None:
                notes.append(f"The {shown} cannot be read: {values.shown(value)}.")
            return found
        upstream = graph.follow(value)
        if upstream is None:
            break
        node = upstream[0]
        sides = preset_sides(node)
        if sides is not None and name.endswith(("width", "height")):
            value = sides[0 if name.endswith("width") else 1]
            continue
        value = None if CALCULATIONS.search(node.kind) else _number_input(node, name)
        if value is None:
            notes.append(f"The {shown} comes from the node {values.shown(node.kind)} and is unknown.")
            return None
    if original is not None:
        notes.append(f"The {shown} comes from a missing node.")
    return None


def _number_input(node: Node, name: str) -> Any:
    """The input that a node outputs as a number; None if that is ambiguous."""
    named = [node.inputs[key] for key in (name, *NUMBERS) if key in node.inputs]
    if named:
        return named[0]
    plain = [v for v in node.inputs.values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return plain[0] if len(plain) == 1 and not any(links(node)) else None


def preset_sides(node: Node) -> tuple[int | str, int | str] | None:
    """Width and height of a node with size presets; ("", "") if they cannot be determined."""
    chosen = next((node.inputs[key] for key in PRESETS if isinstance(node.inputs.get(key), str)), None)
    if chosen is None or "custom" in chosen.casefold():
        return None
    found = SIDES.search(values.shown(chosen))
    if found is None:
        return "", ""
    wide, high = int(found[1]), int(found[2])
    swapped = node.inputs.get("swap_dimensions") in (True, "On", "on", "true")
    return (high, wide) if swapped else (wide, high)


def choice(graph: Graph, value: Any, names: Sequence[str], notes: list[str]) -> str | None:
    """A value chosen from a list, direct or linked; None, with a note, if it is unclear."""
    for _ in range(MAX_DEPTH):
        if not is_link(value):
            return values.shown(value, 100) or None if isinstance(value, str) else None
        upstream = graph.follow(value)
        if upstream is None:
            break
        inputs = upstream[0].inputs
        texts = [each for each in inputs.values() if isinstance(each, str)]
        keys = [key for key in (*names, "value", "string") if key in inputs]
        value = inputs[keys[0]] if keys else texts[0] if len(texts) == 1 else None
        if value is None:
            break
    notes.append(f"The {names[0].replace('_', ' ')} comes from a node that could not be followed.")
    return None


def words(graph: Graph, value: Any, notes: list[str], depth: int = 0) -> str:
    """A text, direct, linked or joined from several."""
    if isinstance(value, str):
        return values.text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    upstream = graph.follow(value) if depth < MAX_DEPTH else None
    if upstream is None:
        if is_link(value):
            notes.append("A part of the prompt comes from a node that could not be followed.")
        return ""
    node = upstream[0]
    parts = sorted((key for key in node.inputs if _PART.fullmatch(key)), key=_part_order)
    if len(parts) > 1:
        return _joined(graph, node, parts, notes, depth)
    key = next(
        (key for key in TEXTS if isinstance(node.inputs.get(key), str) or is_link(node.inputs.get(key))), None
    )
    if key is None and isinstance(node.inputs.get("positive"), str):
        key = "positive"
    if key is None:
        linked = list(links(node))
        texts = [key for key, each in node.inputs.items() if isinstance(each, str)]
        key = texts[0] if len(texts) == 1 else linked[0][0] if len(linked) == 1 and not texts else None
        key = parts[0] if key is None and parts else key
    if key is None:
        notes.append(f"A part of the prompt comes from the node {node.kind} and could not be read.")
        return ""
    if TEXT_CHANGING.search(node.kind) and key != "populated_text":
        notes.append(f"The node {node.kind} changed the prompt; its output is not recorded in the picture.")
    return words(graph, node.inputs[key], notes, depth + 1)


def _part_order(key: str) -> tuple[int, str]:
    found = _PART.fullmatch(key)
    mark = found[1] if found else ""
    return (int(mark), "") if mark.isdecimal() else (0, mark)


def _joined(graph: Graph, node: Node, parts: list[str], notes: list[str], depth: int) -> str:
    texts = [words(graph, node.inputs[key], notes, depth + 1) for key in parts]
    if sum(map(len, texts)) > MAX_WORDS:
        notes.append("The prompt consists of too many texts; a part was left out.")
        return ""
    action = node.inputs.get("action")
    if action == "replace" and len(texts) == 3:  # pysssss' StringFunction
        return texts[0].replace(texts[1], texts[2])[:MAX_WORDS] if texts[1] else texts[0]
    if action == "append":
        return (", " if node.inputs.get("tidy_tags") == "yes" else "").join(filter(None, texts))
    separator = next(
        (node.inputs[key] for key in ("delimiter", "separator") if isinstance(node.inputs.get(key), str)), ""
    )
    separator = separator.replace("\\n", "\n")[:100]
    return separator.join(texts if node.kind == "StringConcatenate" else filter(None, texts))
