"""Chooses what a template comes to.

A choice depends on the seed, on which prompt it stands in, and on the construct itself with the number of
equal ones before it, by SHA-256: it is the same on each machine and in each version of Python, and adding
words or constructs to a prompt changes nothing that was there before. A construct that also stands in the
main prompt is not drawn anew in those of the hires pass and of regions: it comes to the same there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter
from typing import Protocol

from ...errors import RequestError
from ...request import MAX_PROMPT
from ...request.wildcard_fields import MAX_COMBINATIONS
from .choosing import Chooser, Combination, Numbered, RandomChooser, TooManyError
from .syntax import (
    Assignment,
    Node,
    Nodes,
    Option,
    Variable,
    Variants,
    Wildcard,
    is_dynamic,
    parse,
    shown,
    wildcards_in,
)

MAX_NODES = 5_000
"""Parts that are put together for one text."""
MAX_INSIDE = 32
"""Lists, variables and variants inside each other, while drawing."""
MAX_RECORDED = 200
"""Draws of one text that are recorded."""
LABELS = {"prompt": "prompt", "negative_prompt": "negative prompt", "prompt_2": "second prompt"}
_SPACES = re.compile(r"[ \t]{2,}")
_VARIABLE_IN_NAME = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Value:
    """One value of a list. `line`: from 1, of its file; None where the format has none."""

    text: str
    weight: float
    file: str
    line: int | None
    digest: str
    """Of its file's content."""


@dataclass(frozen=True, eq=False)
class Values:
    """Those of one or several lists. `cumulative`: the sum of the weights up to and with each."""

    all: tuple[Value, ...]
    cumulative: tuple[float, ...]


class Lists(Protocol):
    """Where wildcards come from."""

    def values(self, name: str) -> Values:
        """The values of all lists of this name, which may hold `*`. Raises `NotFoundError` for an unknown
        one, `ModelError` for one that cannot be read."""


@dataclass(frozen=True)
class Draw:
    """What one construct came to. `file` and `line`: as in `Value`, None for variants of the prompt."""

    source: str
    text: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Drawn:
    """The texts of one pass, and how they came about, by field of the request."""

    texts: Mapping[str, str]
    draws: Mapping[str, tuple[Draw, ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Digest of each file that was read, by its name."""


class _Drawing:
    """One text being drawn."""

    def __init__(self, lists: Lists, chooser: Chooser, label: str, shared: Mapping[tuple[str, int], str]):
        self._lists, self._chooser, self._label, self._shared = lists, chooser, label, shared
        self._left = MAX_NODES
        self._inside = 0
        self._open: list[str] = []
        """Lists whose values are being drawn."""
        self._variables: dict[str, Nodes] = {}
        self.results: dict[tuple[str, int], str] = {}
        """What each construct came to, by its text and the number of equal ones before it."""
        self.draws: list[Draw] = []
        self.files: dict[str, str] = {}

    def whole(self, nodes: Nodes) -> str:
        before: Counter[str] = Counter()
        parts = []
        for node in nodes:
            if isinstance(node, str):
                parts.append(node)
                continue
            key = node.source, before[node.source]
            before[node.source] += 1
            self._chooser.begin(*key)
            text = self._shared.get(key)
            if text is None or isinstance(node, Assignment):
                text = self._one(node)
            else:
                self._record(len(self.draws), Draw(node.source, text))
            self.results[key] = text
            parts.append(text)
        text = self._joined(parts)
        return _SPACES.sub(" ", text).strip(" \t") if before else text

    def _text(self, nodes: Nodes) -> str:
        return self._joined([node if isinstance(node, str) else self._one(node) for node in nodes])

    def _joined(self, parts: Sequence[str], joiner: str = "") -> str:
        if sum(map(len, parts)) + len(joiner) * len(parts) > MAX_PROMPT:
            raise RequestError(
                f"The {self._label} comes to more than {MAX_PROMPT:,} characters with its wildcards and "
                "variants; shorten them."
            )
        return joiner.join(parts)

    def _one(self, node: Node) -> str:
        assert not isinstance(node, str)
        self._left -= 1
        self._inside += 1
        if self._left < 0 or self._inside > MAX_INSIDE:
            raise RequestError(
                f"The wildcards and variables of the {self._label} lead too far into each other at "
                f"{shown(node.source)}; simplify them."
            )
        try:
            if isinstance(node, Wildcard):
                return self._wildcard(node)
            if isinstance(node, Variants):
                return self._variants(node)
            if isinstance(node, Assignment):
                if not (node.if_unset and node.variable in self._variables):
                    value: Nodes = (self._text(node.value),) if node.at_once else node.value
                    self._variables[node.variable] = value
                return ""
            return self._variable(node)
        finally:
            self._inside -= 1

    def _variable(self, node: Variable) -> str:
        value = self._variables.get(node.variable, node.default)
        if value is None:
            raise RequestError(
                f"The variable {node.variable} of the {self._label} has no value; set it before, as in "
                f"${{{node.variable}=...}}, or give a default, as in ${{{node.variable}:...}}."
            )
        return self._text(value)

    def _record(self, at: int, draw: Draw) -> None:
        """Where it began, so that the outer one comes before what is inside it."""
        if len(self.draws) < MAX_RECORDED:
            self.draws.insert(at, draw)

    def _choice(self, source: str, cumulative: Sequence[float]) -> int:
        if not cumulative[-1] > 0:
            raise RequestError(f"All choices of {shown(source)} have the weight 0; raise one of them.")
        return self._chooser.choose(cumulative)

    def _take_time(self, count: int) -> None:
        """Charge looking at each of `count` values."""
        self._left -= count // 200

    def _values(self, node: Wildcard) -> tuple[str, Values]:
        def value(found: object) -> str:
            assert isinstance(found, re.Match)
            return self._variable(Variable(found[0], found[1]))

        name = _VARIABLE_IN_NAME.sub(value, node.name)
        if name in self._open:
            way = " to ".join([*self._open[self._open.index(name) :], name])
            raise RequestError(
                f"The wildcard {shown(name)} leads to itself ({shown(way)}); break the circle."
            )
        return name, self._lists.values(name)

    def _wildcard(self, node: Wildcard, taken: set[str] | None = None) -> str:
        """`taken`: values that are not chosen again; what is chosen here is added. "" if none is left."""
        name, values = self._values(node)
        if not values.all:
            raise RequestError(f"The wildcard {shown(name)} has no values; add some, or leave it out.")
        if taken:
            self._take_time(len(values.all))
            values = values_of([each for each in values.all if each.text not in taken])
            if not values.all:
                return ""
        chosen = values.all[self._choice(node.source, values.cumulative)]
        if taken is not None:
            taken.add(chosen.text)
        return self._of_value(node, name, chosen)

    def _of_value(self, node: Wildcard, name: str, chosen: Value) -> str:
        at, before = len(self.draws), self._variables
        self.files[chosen.file] = chosen.digest
        self._open.append(name)
        if node.arguments:
            self._variables = {**before, **{key: (text,) for key, text in node.arguments}}
        text = self._text(parse(chosen.text))
        if node.arguments:
            self._variables = before
        self._open.pop()
        self._record(at, Draw(node.source, text, chosen.file, chosen.line))
        return text

    def _variants(self, node: Variants) -> str:
        at = len(self.draws)
        if node.low == node.high == 1:
            cumulative = tuple(accumulate(each.weight for each in node.options))
            option = node.options[self._choice(node.source, cumulative)]
            text = self._text(option.nodes)
        else:
            text = self._several(node)
        self._record(at, Draw(node.source, text))
        return text

    def _several(self, node: Variants) -> str:
        if len(node.options) == 1 and (only := _wildcard_alone(node.options[0])):
            name, values = self._values(only)
            self._take_time(len(values.all))
            unlike = list({each.text: each for each in values.all if each.weight > 0}.values())
            return self._some(
                node,
                [each.weight for each in unlike],
                lambda index: self._of_value(only, name, unlike[index]),
            )
        options: list[Option] = [each for each in node.options if each.weight > 0]
        taken: set[str] = set()

        def text(index: int) -> str:
            if wildcard := _wildcard_alone(options[index]):
                return self._wildcard(wildcard, taken)
            return self._text(options[index].nodes)

        return self._some(node, [each.weight for each in options], text)

    def _some(self, node: Variants, weights: list[float], text_of: Callable[[int], str]) -> str:
        high = len(weights) if node.high is None else min(node.high, len(weights))
        low = min(node.low, high)
        count = low + (self._chooser.choose(range(1, high - low + 2)) if high > low else 0)
        parts = []
        left = list(range(len(weights)))
        for _ in range(count):
            self._take_time(len(left))
            chosen = self._chooser.choose(tuple(accumulate(map(weights.__getitem__, left))))
            index = left.pop(chosen)
            parts.append(text_of(index))
        return self._joined([each for each in parts if each], node.joiner)


def _wildcard_alone(option: Option) -> Wildcard | None:
    """The wildcard that an option consists of."""
    first = option.nodes[0] if len(option.nodes) == 1 else None
    return first if isinstance(first, Wildcard) else None


def values_of(values: Sequence[Value]) -> Values:
    return Values(tuple(values), tuple(accumulate(map(attrgetter("weight"), values))))


def draw_texts(
    lists: Lists,
    texts: Mapping[str, str],
    seed: int,
    combination: int | None = None,
    main: Mapping[str, str] | None = None,
    stream: str = "",
) -> Drawn:
    """What these texts, by field of the request (`LABELS`), come to. `combination`: number of that of the
    prompt, from 0; None = it is drawn from the seed as the others are. `main`: the picture's own texts, whose
    constructs come to the same here; None = these are they. `stream`: distinguishes other texts from them.

    Raises `RequestError`, `NotFoundError` (an unknown wildcard, chosen or not), `ModelError`.
    """
    if not any(map(is_dynamic, texts.values())):
        return Drawn(dict(texts))
    shared: dict[str, dict[tuple[str, int], str]] = {}
    if main is not None:
        for name in ("prompt", "negative_prompt"):
            drawing, _ = _drawn(lists, main[name], _chooser(seed, name, combination), name)
            shared[name] = drawing.results
    found: dict[str, str] = {}
    draws: dict[str, tuple[Draw, ...]] = {}
    files: dict[str, str] = {}
    for name, text in texts.items():
        found[name] = text
        if not is_dynamic(text):
            continue
        # The second prompt describes the same picture as the first.
        common = shared.get("negative_prompt" if name == "negative_prompt" else "prompt", {})
        chooser = _chooser(seed, f"{stream}{name}", combination if main is None else None)
        drawing, found[name] = _drawn(lists, text, chooser, name, common)
        if name == "prompt" and main is None:
            shared["prompt"] = drawing.results
        if drawing.draws:
            draws[name] = tuple(drawing.draws)
        files |= drawing.files
    return Drawn(found, draws, files)


def _chooser(seed: int, stream: str, combination: int | None) -> Chooser:
    if combination is None or stream != "prompt":
        return RandomChooser(seed, stream)
    return Numbered(combination)


def _drawn(
    lists: Lists, text: str, chooser: Chooser, name: str, shared: Mapping[tuple[str, int], str] = {}
) -> tuple[_Drawing, str]:
    nodes = parse(text)
    for each in wildcards_in(nodes):
        if "${" not in each.name:
            lists.values(each.name)
    if isinstance(chooser, Numbered):
        _check_number(chooser.number, combinations(lists, text))
        for _ in range(chooser.number):
            _Drawing(lists, chooser, LABELS[name], shared).whole(nodes)
            chooser.advance()
    drawing = _Drawing(lists, chooser, LABELS[name], shared)
    return drawing, drawing.whole(nodes)


def _check_number(asked: int, count: int) -> None:
    if count > MAX_COMBINATIONS:
        raise RequestError(
            f"The prompt has more than {MAX_COMBINATIONS:,} combinations; shorten its lists, or let them be "
            "drawn from the seed."
        )
    if asked >= count:
        have = "1 combination" if count == 1 else f"{count} combinations"
        raise RequestError(f"There is no combination {asked}: the prompt has {have}, numbered from 0.")


def combinations(lists: Lists, text: str) -> int:
    """How many combinations a prompt has; `MAX_COMBINATIONS` + 1 for more than can be counted. Raises as
    `draw_texts`."""
    nodes, odometer, count = parse(text), Combination(), 0
    while count <= MAX_COMBINATIONS:
        try:
            _Drawing(lists, odometer, LABELS["prompt"], {}).whole(nodes)
        except TooManyError:
            return MAX_COMBINATIONS + 1
        count += 1
        if not odometer.advance():
            break
    return count
