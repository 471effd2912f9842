"""Numbers and texts of ComfyUI's nodes, also those that other nodes hand in."""

from __future__ import annotations

import re
from typing import Any

from . import values
from .comfyui_graph import Graph, Node, is_link, links

MAX_DEPTH = 60
MAX_WORDS = 50_000
"""Longest text that is put together."""
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
         "prompt_text", "multiline_text", "positive", "input", "any", "anything", "source")  # fmt: skip
_PART = re.compile(r"(?:text|string|prompt|str|input_string|part)_?([a-z]|\d{1,2})")
NOT_WORKED_OUT = re.compile(
    r"random|wildcard|styler|replace|regex|llm|ollama|tagger|caption|translat|interrogat|gpt|search|substring",
    re.IGNORECASE,
)
"""Nodes that make another text of theirs."""


def input_of(graph: Graph, node: Node, *names: str) -> Any:
    """The input of one of these names, also of the nodes that hand their things on together, in one pipe."""
    for _ in range(20):
        for name in names:
            if node.inputs.get(name) is not None:
                return node.inputs[name]
        behind = graph.follow(next((node.inputs[pipe] for pipe in PIPES if pipe in node.inputs), None))
        if behind is None:
            return None
        node = behind[0]
    return None


def pipe_end(graph: Graph, node: Node) -> Node:
    """The node where a pipe begins: mostly a loader with prompts of its own."""
    for _ in range(20):
        behind = graph.follow(next((node.inputs[pipe] for pipe in PIPES if pipe in node.inputs), None))
        if behind is None:
            return node
        node = behind[0]
    return node


def number(graph: Graph, value: Any, name: str, notes: list[str]) -> float | int | None:
    """A number that stands there or comes by a link; None, with a note, where it would have to be worked
    out."""
    asked = value
    for _ in range(MAX_DEPTH):
        if not is_link(value):
            return (
                value
                if isinstance(value, (int, float)) and not isinstance(value, bool)
                else values.number(value)
            )
        behind = graph.follow(value)
        if behind is None:
            break
        node = behind[0]
        named = [node.inputs[key] for key in (name, *NUMBERS) if key in node.inputs]
        plain = [
            each
            for each in node.inputs.values()
            if isinstance(each, (int, float)) and not isinstance(each, bool)
        ]
        linked = [each for _, each in links(node)]
        if named:
            value = named[0]
        elif len(plain) == 1 and not linked:
            value = plain[0]
        else:
            notes.append(
                f"The {name.replace('_', ' ')} comes from the node {node.kind} and was not worked out."
            )
            return None
    if asked is not None:
        notes.append(f"The {name.replace('_', ' ')} comes from a node that is not there.")
    return None


def words(graph: Graph, value: Any, notes: list[str], depth: int = 0) -> str:
    """A text that stands there, comes by a link, or is put together of several."""
    if isinstance(value, str):
        return values.text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    behind = graph.follow(value) if depth < MAX_DEPTH else None
    if behind is None:
        if is_link(value):
            notes.append("A part of the prompt comes from a node that could not be followed.")
        return ""
    node = behind[0]
    parts = sorted((key for key in node.inputs if _PART.fullmatch(key)), key=_place)
    if len(parts) > 1:
        return _joined(graph, node, parts, notes, depth)
    key = next(
        (key for key in TEXTS if isinstance(node.inputs.get(key), str) or is_link(node.inputs.get(key))), None
    )
    if key is None:
        linked = list(links(node))
        texts = [key for key, each in node.inputs.items() if isinstance(each, str)]
        key = texts[0] if len(texts) == 1 else linked[0][0] if len(linked) == 1 and not texts else None
        key = parts[0] if key is None and parts else key
    if key is None:
        notes.append(f"A part of the prompt comes from the node {node.kind} and could not be read.")
        return ""
    if NOT_WORKED_OUT.search(node.kind) and key != "populated_text":
        notes.append(
            f"The node {node.kind} made a text of its own of the prompt, which the picture does not tell."
        )
    return words(graph, node.inputs[key], notes, depth + 1)


def _place(key: str) -> tuple[int, str]:
    found = _PART.fullmatch(key)
    mark = found[1] if found else ""
    return (int(mark), "") if mark.isdecimal() else (0, mark)


def _joined(graph: Graph, node: Node, parts: list[str], notes: list[str], depth: int) -> str:
    texts = [words(graph, node.inputs[key], notes, depth + 1) for key in parts]
    if sum(map(len, texts)) > MAX_WORDS:
        notes.append("The prompt is put together of too many texts; a part was left out.")
        return ""
    action = node.inputs.get("action")
    if action == "replace" and len(texts) == 3:  # pysssss' StringFunction
        return texts[0].replace(texts[1], texts[2])[:MAX_WORDS] if texts[1] else texts[0]
    if action == "append":
        return (", " if node.inputs.get("tidy_tags") == "yes" else "").join(filter(None, texts))
    between = next(
        (node.inputs[key] for key in ("delimiter", "separator") if isinstance(node.inputs.get(key), str)), ""
    )
    between = between.replace("\\n", "\n")[:100]
    return between.join(texts if node.kind == "StringConcatenate" else filter(None, texts))
