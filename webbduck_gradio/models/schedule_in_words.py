"""What a prompt that changes from step to step comes to, for people."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..request import GenerationRequest
from ..request.samplers import sampler_named
from .prompt_schedule import Part, count_of, joined_parts, schedule

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
    unit = "Steps" if each_step == 1 else f"Evaluations ({each_step} in each step)"
    sentences = []
    if len(parts) > 1 or parts[0].weight != 1:
        named = (f'"{_short(each.text)}" with weight {each.weight:g}' for each in parts)
        sentences.append(f"Joined by AND: {'; '.join(named)}.")
    for each in parts:
        entries = schedule(each.text, count)
        if len(entries) > 1:
            places = [entry.last for entry in entries[:-1]]
            sentences.append(f"{unit} {_changes([entry.text for entry in entries], places, drawn)}")
    return sentences


def _changes(texts: Sequence[str], ends: Sequence[int], drawn: int) -> str:
    """`ends`: as `PromptSchedule` has them."""
    shown, drawn_texts = [], set()
    places = [0, *(end + 1 for end in ends), drawn]
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
