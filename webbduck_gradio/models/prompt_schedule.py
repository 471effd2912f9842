"""Prompts that change from step to step, and prompts of several parts, as AUTOMATIC1111 reads them.

`[from:to:when]`, `[to:when]` and `[from::when]` change the text once, `[a|b]` at every step; they nest.
`when` with a point is a share of the steps, without one a step. `AND` in capitals joins prompts, each with a
weight behind a colon, whose guidance is added (Liu et al. 2022, "Compositional Visual Generation with
Composable Diffusion Models"). Everything else, emphasis among it, stays in the texts.

Steps are counted in evaluations of the model, of which some samplers take two in a step. No model and no
torch, so it is instant.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import RequestError
from ..request import GenerationRequest
from ..request.samplers import sampler_named

MOST_PARTS = 16
"""Prompts joined by AND; each is a row of the UNet's batch."""
MOST_WEIGHT = 100.0
"""Of a part."""
MOST_CHARACTERS = 200_000
"""Of all texts of a schedule together. Each is encoded, and its embeddings are kept until the job is done."""


@dataclass(frozen=True)
class Count:
    """What the numbers in a prompt are counted by."""

    evaluations: int
    """Of the model, of which `when` is a share."""
    before: int | None = None
    """Those of the first pass, if another pass is meant: shares run from 1 to 2 there then, and whole numbers
    go on."""

    def last(self, when: str) -> int:
        """The last evaluation, from 1, of what `when` ends; below 1: none, `evaluations`: all."""
        has_point = "." in when
        number = float(when)
        if self.before is not None:
            number -= 1.0 if has_point else self.before
        return int(max(-1.0, min(self.evaluations, number * self.evaluations if has_point else number)))


def count_of(request: GenerationRequest) -> Count:
    """Of the first pass. With an input picture, too, shares are of all steps, though only the last ones are
    drawn, and the prompt begins at its beginning: as in AUTOMATIC1111."""
    return Count(request.steps * sampler_named(request.sampler).evaluations)


def second_pass_count(request: GenerationRequest) -> Count:
    """Of an img2img second pass, which is counted as a hires pass."""
    drawn = request.img2img_pass_steps.drawn
    return Count(drawn * sampler_named(request.sampler).evaluations, count_of(request).evaluations)


def hires_count(request: GenerationRequest) -> Count:
    """Of the hires pass of a request."""
    sampler = sampler_named(request.for_hires_pass().sampler)
    drawn = request.hires_pass_steps.drawn
    return Count(drawn * sampler.evaluations, count_of(request).evaluations)


class Part(NamedTuple):
    """One of the prompts that AND joins."""

    text: str
    weight: float = 1.0


_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r":\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*\Z", re.ASCII)


def joined_parts(prompt: str) -> tuple[Part, ...]:
    """The parts of a prompt, equal ones added up, those of weight 0 left out; one at least. Without AND it is
    the whole prompt, whatever it ends in.

    Raises `RequestError` for too many, or a weight out of range.
    """
    texts = _AND.split(prompt)
    if len(texts) == 1:
        return (Part(prompt),)
    if len(texts) > MOST_PARTS:
        raise RequestError(f"AND joins {len(texts)} prompts; at most {MOST_PARTS} are possible.")
    weights: dict[str, float] = {}
    for each in texts:
        text, weight = _weighted(each)
        weights[text] = weights.get(text, 0.0) + weight
    beyond = next((each for each in weights.values() if abs(each) > MOST_WEIGHT), None)
    if beyond is not None:
        raise RequestError(
            f"A prompt joined by AND has the weight {beyond:.3g}; -{MOST_WEIGHT:g} to {MOST_WEIGHT:g} are "
            "possible."
        )
    left = [Part(text, weight) for text, weight in weights.items() if weight]
    return tuple(left or [Part(next(iter(weights)), 0.0)])


def _weighted(part: str) -> Part:
    found = _WEIGHT.search(part)
    # In AUTOMATIC1111 a part that goes over several lines has no weight.
    if found is None or "\n" in part[: found.start()].strip():
        return Part(part.strip())
    return Part(part[: found.start()].strip(), float(found[1]))


def with_words(prompt: str, words: str) -> str:
    """The prompt with words put behind each of its parts, before the weight."""

    def extended(text: str) -> str:
        return f"{text.rstrip().rstrip(',')}, {words}" if text.strip() else words

    texts = _AND.split(prompt)
    if len(texts) == 1:
        return extended(prompt)
    whole = []
    for each in texts:
        found = _WEIGHT.search(each)
        weight = each[found.start() :].strip() if found else ""
        whole.append(f"{extended(each[: found.start()] if found else each).strip()} {weight}".strip())
    return " AND ".join(whole)


class Entry(NamedTuple):
    """A text and the evaluation up to which it holds, counted as `Count.last`."""

    last: int
    text: str


class _Change(NamedTuple):
    before: Sequence[_Item]
    after: Sequence[_Item]
    when: str


class _Alternation(NamedTuple):
    options: Sequence[Sequence[_Item]]


_Item = str | _Change | _Alternation

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_PIECES = re.compile(r"(?:[^\\\[\]():|]|\\.)+|[\[\]():|]|\\\Z|\\\n")
_CHANGING = re.compile(r"(?<!\\)\[[^\[\]]*(?:\||:\s*[+-]?[\d.]+\s*\])")


class _Bracket:
    """An open bracket: its place among the items, and those of the colons and bars in it."""

    def __init__(self, kind: str, place: int):
        self.kind, self.place = kind, place
        self.colons: list[int] = []
        self.bars: list[int] = []


def _parsed(text: str) -> list[_Item] | None:
    """The text in plain pieces and what changes in it; None if it is taken whole.

    A bracket means something only if all that it holds pairs and means something; others are plain, and so is
    what is around them. A bar outside an alternation, and a backslash before nothing, make the whole text
    plain.
    """
    items: list[_Item] = []
    opened: list[_Bracket] = []
    for piece in _PIECES.findall(text):
        if piece in ("\\", "\\\n") or (piece == "|" and not opened):
            return None
        if piece in "([":
            opened.append(_Bracket(piece, len(items)))
        elif piece in ":|" and opened:
            (opened[-1].colons if piece == ":" else opened[-1].bars).append(len(items))
        elif piece in ")]" and opened:
            bracket = opened.pop()
            pairs = (bracket.kind == "(") == (piece == ")")
            if pairs and (node := _node(items, bracket)) is not None:
                items[bracket.place :] = [node]
                continue
            if not pairs or not _is_emphasis(bracket):
                if bracket.bars or any(each.bars for each in opened):
                    return None
                opened.clear()  # a bracket around one that means nothing means nothing
        items.append(piece)
    return None if any(each.bars for each in opened) else _compact(items)


def _is_emphasis(bracket: _Bracket) -> bool:
    return not bracket.bars and len(bracket.colons) <= (bracket.kind == "(")


def _node(items: list[_Item], bracket: _Bracket) -> _Change | _Alternation | None:
    """What the bracket, which ends with the items, changes; None if it changes nothing."""
    first, colons, bars = bracket.place, bracket.colons, bracket.bars
    if bracket.kind == "(" or bool(bars) == bool(colons) or len(colons) > 2:
        return None
    if bars:
        places = [first, *bars, len(items)]
        return _Alternation([_compact(items[a + 1 : b]) for a, b in itertools.pairwise(places)])
    number = _compact(items[colons[-1] + 1 :])
    found = _NUMBER.fullmatch(number[0]) if len(number) == 1 and isinstance(number[0], str) else None
    if found is None:
        return None
    middle = colons[0] if len(colons) == 2 else first
    return _Change(_compact(items[first + 1 : middle]), _compact(items[middle + 1 : colons[-1]]), found[1])


def _compact(items: Sequence[_Item]) -> list[_Item]:
    """The same with neighbouring pieces of text as one."""
    whole: list[_Item] = []
    text: list[str] = []
    for each in (*items, None):
        if isinstance(each, str):
            text.append(each)
            continue
        if text:
            whole.append("".join(text))
            text = []
        if each is not None:
            whole.append(each)
    return whole


def _inside(items: Sequence[_Item]) -> Iterator[_Change | _Alternation]:
    """All changes and alternations, nested ones too."""
    left = [items]
    while left:
        for each in left.pop():
            if isinstance(each, _Change):
                left += [each.before, each.after]
                yield each
            elif isinstance(each, _Alternation):
                left += each.options
                yield each


def _text_at(items: Sequence[_Item], evaluation: int, count: Count) -> str:
    """`evaluation`: from 1."""
    text: list[str] = []
    left = [iter(items)]
    while left:
        each = next(left[-1], None)
        if each is None:
            left.pop()
        elif isinstance(each, _Change):
            left.append(iter(each.before if evaluation <= count.last(each.when) else each.after))
        elif isinstance(each, _Alternation):
            left.append(iter(each.options[(evaluation - 1) % len(each.options)]))
        else:
            text.append(each)
    return "".join(text)


def schedule(text: str, count: Count) -> tuple[Entry, ...]:
    """The texts that a prompt without AND comes to, in turn; the last one ends with the evaluations.

    Raises `RequestError` if they are too long together.
    """
    items = _parsed(text) if "[" in text else None
    if items is None or all(type(each) is str for each in items):
        return (Entry(count.evaluations, text),)
    ends = {count.evaluations}
    for each in _inside(items):
        if isinstance(each, _Alternation):
            ends.update(range(1, count.evaluations + 1))
            break
        if (last := count.last(each.when)) >= 1:
            ends.add(last)
    entries: list[Entry] = []
    distinct: set[str] = set()
    for end in sorted(ends):
        found = _text_at(items, end, count)
        distinct.add(found)
        if sum(map(len, distinct)) > MOST_CHARACTERS:
            raise RequestError(
                f"A prompt comes to more than {MOST_CHARACTERS:,} characters in all its steps together; "
                "shorten it, or let fewer of its words change."
            )
        if entries and entries[-1].text == found:
            entries.pop()
        entries.append(Entry(end, found))
    return tuple(entries)


class Texts(NamedTuple):
    """What is encoded for one evaluation."""

    prompts: tuple[str, ...]
    """One for each part."""
    negative: str
    second: str


@dataclass(frozen=True)
class PromptSchedule:
    """All texts of a pass."""

    weights: tuple[float, ...]
    """Of the parts that AND joins."""
    texts: tuple[Texts, ...]
    """In turn."""
    ends: tuple[int, ...]
    """The evaluation up to which each but the last holds, counted as `Count.last`."""

    @property
    def every_text(self) -> tuple[str, ...]:
        """Each text that is encoded, once."""
        found = (each for texts in self.texts for each in (*texts.prompts, texts.negative, texts.second))
        return tuple(dict.fromkeys(found))


def prompt_schedule(prompt: str, negative: str, second: str, count: Count) -> PromptSchedule:
    """`second`: the second prompt. Both it and the negative prompt are one text with AND in it, as in
    AUTOMATIC1111. Raises what `joined_parts` and `schedule` raise."""
    parts = joined_parts(prompt)
    prompts = [schedule(each.text, count) for each in parts]
    others = [schedule(negative, count), schedule(second, count)]
    ends = sorted({entry.last for each in (*prompts, *others) for entry in each})
    texts = tuple(
        Texts(tuple(_holding(each, end) for each in prompts), *(_holding(each, end) for each in others))
        for end in ends
    )
    return PromptSchedule(tuple(each.weight for each in parts), texts, tuple(ends[:-1]))


def _holding(entries: Sequence[Entry], evaluation: int) -> str:
    return next(each.text for each in entries if evaluation <= each.last)


def is_taken_whole(text: str) -> bool:
    """Whether something in the text would change, were it not for a bar or a backslash elsewhere in it."""
    return "[" in text and _CHANGING.search(text) is not None and _parsed(text) is None


def texts_of(prompt: str, count: Count, *, joins: bool = True) -> tuple[str, ...]:
    """All texts that a prompt comes to. `joins`: whether AND joins parts of it. Raises what `joined_parts`
    and `schedule` raise."""
    parts = joined_parts(prompt) if joins else (Part(prompt),)
    return tuple(dict.fromkeys(entry.text for part in parts for entry in schedule(part.text, count)))
