"""What a prompt that changes from step to step comes to, for people."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..request import GenerationRequest
from ..request.samplers import sampler_named
from .prompt_schedule import Entry, Part, count_of, hires_count, joined_parts, schedule

MOST_SHOWN = 4
"""Changes that are listed."""
LONGEST = 40
"""Characters of a text that are shown."""


def in_words(prompt: str, request: GenerationRequest, *, joins: bool = True) -> list[str]:
    """A sentence for each part of a prompt that changes in the first pass, and one for the parts that AND
    joins; [] if there are neither. `joins`: whether AND joins parts.

    Raises what `joined_parts` and `schedule` raise.
    """
    parts = joined_parts(prompt) if joins else (Part(prompt),)
    count, each_step = count_of(request), sampler_named(request.sampler).evaluations
    drawn = request.first_pass_steps.drawn * each_step
    sentences = _joined(parts)
    for each in parts:
        entries = schedule(each.text, count)
        if len(entries) > 1:
            sentences.append(f"{_unit(each_step)} {_changes(entries, drawn)}")
    return sentences


def hires_in_words(prompt: str, request: GenerationRequest, *, first: str, joins: bool = True) -> list[str]:
    """As `in_words`, of the hires pass, in which a share counts from 1 to 2 and a whole number goes on from
    the first pass; also a sentence for what is drawn at all of its steps, where that changed in the first
    pass. `first`: the prompt there."""
    parts = joined_parts(prompt) if joins else (Part(prompt),)
    count, each_step = hires_count(request), sampler_named(request.for_hires_pass().sampler).evaluations
    told = [] if prompt == first else _joined(parts)
    for each in parts:
        entries = schedule(each.text, count)
        before = [entry.text for entry in schedule(each.text, count_of(request))]
        if len(entries) > 1:
            told.append(f"{_unit(each_step)} {_changes(entries, count.evaluations)}")
        elif before != [entries[0].text]:
            told.append(f"All steps: {[*_differing([*before, entries[0].text])][-1]}.")
    return [f"Hires pass: {each[:1].lower()}{each[1:]}" for each in told]


def _joined(parts: Sequence[Part]) -> list[str]:
    if len(parts) == 1 and parts[0].weight == 1:
        return []
    named = (f'"{_short(each.text)}" with weight {each.weight:g}' for each in parts)
    return [f"Joined by AND: {'; '.join(named)}."]


def _unit(each_step: int) -> str:
    return "Steps" if each_step == 1 else f"Evaluations ({each_step} in each step)"


def _changes(entries: Sequence[Entry], drawn: int) -> str:
    texts = [entry.text for entry in entries]
    shown, drawn_texts = [], set()
    places = [0, *(entry.last + 1 for entry in entries[:-1]), drawn]
    for text, (first, following) in zip(_differing(texts), itertools.pairwise(places), strict=True):
        if first < drawn:
            last = min(following, drawn)
            steps = f"{first + 1}" if last == first + 1 else f"{first + 1}-{last}"
            shown.append(f"{steps}: {text}")
            drawn_texts.add(text)
        elif text not in drawn_texts:
            shown.append(f"never: {text}")
            break
    more = len(shown) - MOST_SHOWN
    ending = f"; and {more} more." if more > 0 else "."
    return "; ".join(shown[:MOST_SHOWN]) + ending


def _differing(texts: Sequence[str]) -> Iterator[str]:
    """Each text without the words that all begin and end with."""
    words = [text.split() for text in texts]
    before = _equal(words)
    after = _equal([each[before:][::-1] for each in words])
    for each in words:
        middle = " ".join(each[before : len(each) - after])
        yield f'"{_short(middle)}"'


def _equal(texts: Sequence[Sequence[str]]) -> int:
    """How many words all begin with."""
    columns = zip(*texts, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."
