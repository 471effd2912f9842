"""Parses wildcards, variants and variables, in time linear in the length of the text.

Brackets that do not pair are text. Braces without `|` and without `N$$` are text as well: NovelAI's weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ...errors import RequestError

MAX_DEPTH = 24
"""Brackets inside brackets."""

Nodes = tuple["Node", ...]


@dataclass(frozen=True)
class Option:
    """One of several variants. `weight`: of being chosen, relative to the others', at least 0."""

    nodes: Nodes
    weight: float = 1.0


@dataclass(frozen=True)
class Variants:
    """`low` to `high` of the options, no one twice; `high` None = all of them."""

    source: str
    options: tuple[Option, ...]
    low: int = 1
    high: int | None = 1
    joiner: str = ", "


@dataclass(frozen=True)
class Wildcard:
    """A value of a list. `name` may hold `*` and `${variable}`; `arguments`: variables for the value."""

    source: str
    name: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Assignment:
    """Gives a variable a value. `at_once`: it is drawn here, else at each use; `if_unset`: an earlier value
    is kept."""

    source: str
    variable: str
    value: Nodes
    at_once: bool = False
    if_unset: bool = False


@dataclass(frozen=True)
class Variable:
    """The value of a variable; `default` is None if it has to be set."""

    source: str
    variable: str
    default: Nodes | None = None


Node = str | Variants | Wildcard | Assignment | Variable

_TOKEN = re.compile(
    r"""
    (?P<escape> \\(?: [{}|] | \$\{ | __ | <(?=random\b|wildcard\b) ) )
  | (?P<open> \$?\{ | <random(?:\[[^\[\]<>]*\])?: )
  | (?P<close> [}>] )
  | (?P<bar> \|\|? )
  | (?P<comma> , )
  | (?<![\w\\])__
    (?P<name> (?=[^\s_]) (?: [^\n,<>|{}()$\\] | \$\{\w+\} ){0,118}? (?: [^\s_,<>|{}()$\\] | \$\{\w+\} ) )
    (?: \( (?P<arguments> [^()\n]{0,400} ) \) )? __(?!\w)
  | <wildcard (?P<count> \[[^\[\]<>]*\] )? : (?P<swarm> [^<>|{}\n]{1,120} ) >
  | (?P<less> < )
    """,
    re.VERBOSE,
)
_COUNT = re.compile(
    r"\s*(?:(\d{1,6})|(\d{0,6})\s*-\s*(\d{0,6}))\s*\$\$(?:((?:[^${}|]|\$(?!\$))*|\s*\|\s*)\$\$)?"
)
_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*::")
_ASSIGNMENT = re.compile(r"\s*(\w[\w.-]{0,63})\s*(\??=)(\s*!)?")
_VARIABLE = re.compile(r"\s*(\w[\w.-]{0,63})\s*(:|$)")
_SWARM_COUNT = re.compile(r"\[\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?(\s*,)?\s*\]")
_COMMENT = re.compile(r"(?:^|(?<=\s))\#(?=\s|$).*$", re.MULTILINE)
_LINE_BREAK = re.compile(r"[ \t]*(?:\r\n|\r|\n)\s*")
_SPECIAL = re.compile(r"\$\{|[{}]|__|<(?=(?:random|wildcard)\b)|(?<=\\)\|")


@dataclass
class _Group:
    """A pair of brackets. `first`, `last`: its tokens by index; `separators`: those at its own level."""

    first: int
    last: int = -1
    separators: list[int] = field(default_factory=list)
    depth: int = 0


@lru_cache(4096)
def parse(text: str) -> Nodes:
    """The nodes of a text, comments and line breaks left out if there are any beside text. Raises
    `RequestError` for brackets that are nested too deeply."""
    nodes = _Parser(text).nodes_of_all()
    if any(not isinstance(node, str) for node in nodes) and ("\n" in text or "\r" in text or "#" in text):
        return _Parser(_LINE_BREAK.sub(" ", _COMMENT.sub("", text)).strip()).nodes_of_all()
    return nodes


def is_dynamic(text: str) -> bool:
    """Whether a text is anything but itself: it holds this syntax, or an escape. Never raises."""
    try:
        return parse(text) != ((text,) if text else ())
    except RequestError:
        return True


def literal(text: str) -> str:
    """A text that comes to this one: its own, or with escapes where it would not stay as it is."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text) if is_dynamic(text) else text


def wildcards_in(nodes: Nodes) -> Iterator[Wildcard]:
    """All that a template names itself, chosen or not."""
    for node in nodes:
        if isinstance(node, Wildcard):
            yield node
        elif isinstance(node, Variants):
            for option in node.options:
                yield from wildcards_in(option.nodes)
        elif isinstance(node, Assignment):
            yield from wildcards_in(node.value)
        elif isinstance(node, Variable):
            yield from wildcards_in(node.default or ())


def problems(text: str) -> list[str]:
    """A sentence for what looks like this syntax and is read as plain text."""
    found = []
    unpaired = _Parser(text).unpaired
    if unpaired is not None and "|" in text[unpaired:]:
        excerpt = " ".join(text[unpaired : unpaired + 25].split())
        found.append(f'The {{ in "{excerpt}" is never closed and is read as plain text.')
    if weight := _LATE_WEIGHT.search(text):
        found.append(
            f"{weight[0].strip()} is read as plain words: a variant's weight stands before it, as in "
            f"{{{weight[2]}::{weight[1].strip()[-20:]}|...}}."
        )
    return found


_LATE_WEIGHT = re.compile(r"(?<=[{|])([^{}|:()\[\]<>\n]{0,60}[^\W\d]\s*):(0?\.\d+)(?=\s*[|}])")
"""SD.Next's way to write it, which here is text, as in sd-dynamic-prompts; only where nothing else is
meant."""


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self._tokens = (
            list(_TOKEN.finditer(text)) if any(each in text for each in ("{", "__", "<", "\\")) else []
        )
        self._groups: dict[int, _Group] = {}
        self.unpaired: int | None = None
        """Position of the first brace that is never closed."""
        self._pair()

    def _pair(self) -> None:
        stack: list[_Group] = []
        for index, token in enumerate(self._tokens):
            kind = token.lastgroup
            if kind == "open":
                stack.append(_Group(index))
            elif kind == "less" and stack and self._is_angle(stack[-1]):
                stack.append(_Group(index))  # a tag inside `<random:...>`
            elif kind in ("bar", "comma") and stack:
                stack[-1].separators.append(index)
            elif kind == "close":
                self._close(stack, index)
        self.unpaired = next(
            (each.start() for group in stack if (each := self._tokens[group.first])[0] == "{"), None
        )

    def _close(self, stack: list[_Group], index: int) -> None:
        if self._tokens[index][0] == ">":
            if not stack or not self._is_angle(stack[-1]):
                return
        else:
            while stack and self._is_angle(stack[-1]):  # never closed, so it is text
                lost = stack.pop()
                if stack:
                    stack[-1].separators += lost.separators
        if not stack:
            return
        group = stack.pop()
        group.last = index
        opening = self._tokens[group.first]
        end = self._tokens[index].start()
        is_choice = _COUNT.match(self._text, opening.end(), end) or any(map(self._is_bar, group.separators))
        if opening[0] == "<" or (
            opening[0] == "{" and not is_choice
        ):  # what is inside belongs to what is around
            if stack:
                stack[-1].depth = max(stack[-1].depth, group.depth)
            return
        group.depth += 1
        if group.depth > MAX_DEPTH:
            raise RequestError(f"The prompt nests more than {MAX_DEPTH} brackets; take some apart.")
        if stack:
            stack[-1].depth = max(stack[-1].depth, group.depth)
        self._groups[group.first] = group

    def _is_angle(self, group: _Group) -> bool:
        return self._tokens[group.first][0].startswith("<")

    def _is_bar(self, index: int) -> bool:
        return self._tokens[index].lastgroup == "bar"

    def nodes_of_all(self) -> Nodes:
        return self._nodes(0, len(self._tokens), 0, len(self._text))

    def _nodes(self, first: int, last: int, start: int, end: int) -> Nodes:
        """What stands between these positions; `first` to `last`: the tokens there."""
        nodes: list[Node] = []
        at, index = start, first

        def add(node: Node) -> None:
            if isinstance(node, str) and nodes and isinstance(nodes[-1], str):
                nodes[-1] += node
            elif node != "":
                nodes.append(node)

        while index < last:
            token = self._tokens[index]
            index += 1
            if token.start() < at:
                continue
            kind, after = token.lastgroup, token.end()
            node: Node | None = None
            if kind == "escape":
                node = token[0][1:]
            elif kind in ("name", "arguments"):
                node = _wildcard(token)
            elif kind == "swarm":
                node = _swarm_wildcard(token)
            elif index - 1 in self._groups:
                group = self._groups[index - 1]
                node = self._group(group)
                if node is not None:
                    after, index = self._tokens[group.last].end(), group.last + 1
            if node is not None:
                add(self._text[at : token.start()])
                add(node)
                at = after
        add(self._text[at:end])
        return tuple(nodes)

    def _group(self, group: _Group) -> Node | None:
        """None for one that is text after all."""
        opening, closing = self._tokens[group.first], self._tokens[group.last]
        source, start, end = self._text[opening.start() : closing.end()], opening.end(), closing.start()
        if opening[0] == "${":
            return self._variable(group, source, start, end)
        if opening[0] == "{":
            return self._variants(group, source, start, end)
        low, high, joiner = _swarm_count(opening[0])
        bars = [each for each in group.separators if self._is_bar(each)]
        double = [each for each in bars if self._tokens[each][0] == "||"]
        options = self._options(group, double or bars or group.separators, start, end)
        return Variants(source, options, low, high, joiner)

    def _variants(self, group: _Group, source: str, start: int, end: int) -> Variants:
        low, high, joiner = 1, 1, ", "
        top: int | None = high
        if count := _COUNT.match(self._text, start, end):
            start = count.end()
            if count[1] is not None:
                low = top = int(count[1])
            else:
                low, top = int(count[2] or 1), int(count[3]) if count[3] else None
            if count[4] is not None:
                joiner = count[4]
            if top is not None and top < low:
                raise RequestError(
                    f"{shown(source)} asks for {low} to {top} variants; put the smaller first."
                )
        bars = [
            each for each in group.separators if self._is_bar(each) and self._tokens[each].start() >= start
        ]
        return Variants(source, self._options(group, bars, start, end, weighted=True), low, top, joiner)

    def _options(
        self, group: _Group, separators: Sequence[int], start: int, end: int, weighted: bool = False
    ) -> tuple[Option, ...]:
        options = []
        first, at = group.first + 1, start
        for separator in (*sorted(separators), None):
            if separator is not None and self._tokens[separator][0] == "||" and weighted:
                ends = [self._tokens[separator].start(), self._tokens[separator].start() + 1]
            else:
                ends = [end if separator is None else self._tokens[separator].start()]
            for stop in ends:
                last = group.last if separator is None else separator
                weight = _WEIGHT.match(self._text, at, stop) if weighted else None
                begin = weight.end() if weight else at
                nodes = _stripped(self._nodes(first, last, begin, stop))
                options.append(Option(nodes, float(weight[1]) if weight else 1.0))
                at = stop + 1
            if separator is not None:
                at, first = self._tokens[separator].end(), separator + 1
        return tuple(options)

    def _variable(self, group: _Group, source: str, start: int, end: int) -> Node | None:
        if found := _ASSIGNMENT.match(self._text, start, end):
            value = _stripped(self._nodes(group.first + 1, group.last, found.end(), end))
            return Assignment(source, found[1], value, found[3] is not None, found[2] == "?=")
        found = _VARIABLE.match(self._text, start, end)
        if found is None:
            return None
        if not found[2]:
            return Variable(source, found[1])
        default = _stripped(self._nodes(group.first + 1, group.last, found.end(), end))
        return Variable(source, found[1], default)


def _wildcard(token: re.Match[str]) -> Wildcard:
    arguments = []
    for each in (token["arguments"] or "").split(","):
        name, equals, value = each.partition("=")
        if equals and name.strip():
            arguments.append((name.strip(), value.strip()))
    return Wildcard(token[0], token["name"], tuple(arguments))


def _swarm_wildcard(token: re.Match[str]) -> Node:
    one = Wildcard(token[0], token["swarm"].strip())
    low, high, joiner = _swarm_count(token["count"] or "")
    return one if low == high == 1 else Variants(token[0], (Option((one,)),), low, high, joiner)


def _swarm_count(text: str) -> tuple[int, int, str]:
    """SwarmUI's `[2]`, `[1-3]`, and with a comma in it to join with one."""
    found = _SWARM_COUNT.search(text)
    if found is None:
        return 1, 1, " "
    low = int(found[1])
    return low, max(low, int(found[2] or low)), ", " if found[3] else " "


def _stripped(nodes: Nodes) -> Nodes:
    """Without space at both ends."""
    parts = list(nodes)
    if parts and isinstance(parts[0], str):
        parts[0] = parts[0].lstrip()
    if parts and isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip()
    return tuple(each for each in parts if each != "")


def shown(source: str) -> str:
    """A construct in a message."""
    line = " ".join(source.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
