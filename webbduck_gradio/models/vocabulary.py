"""The words that a checkpoint knows, where its `webbduck.json` lists them, and those of a prompt that it does
not know.

Only small checkpoints list them: one that was trained on captions of the whole web knows nearly every word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .tokens import parse
from .triggers import readable

MOST_NAMED = 6
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_FUNCTION_WORDS = """
a about above across after again against all almost along also although always am among an and another
any are around as at away back be because been before behind being below beneath beside besides between
beyond both but by can close could did do does down during each either else enough etc even ever every
few for from front further had has have he her here hers high highly him his how i if in inside instead
into is it its just last least left less like little lot many may me might more most much must my near
nearly never next no nor not nothing now of off on once one only onto or other our out outside over own
per quite rather really right same several shall she should side since so some something still such than
that the their them then there these they this those through throughout to together too top toward
towards two three four five under underneath until up upon us very via was we were what when where which
while who whose why will with within without would yet you your
"""
_OF_THE_PICTURE = """
art artistic artwork award background beautiful best composition detail detailed details foreground
image intricate masterpiece photo photograph photography photorealistic pic picture quality realistic
render rendering resolution sharp style stunning trending ultra uhd hd hq hdr
"""
_ACTIONS = """
carrying dancing doing drinking driving eating facing flying going holding jumping laying leaning
looking lying making playing posing reading riding running sitting sleeping smiling standing staring
swimming taking walking watching wearing
"""
_NOT_THINGS = frozenset(f"{_FUNCTION_WORDS}{_OF_THE_PICTURE}{_ACTIONS}".split())
"""Words of a prompt that name nothing to be seen, so that it is no matter whether they are known."""


@dataclass(frozen=True)
class Vocabulary:
    """What a checkpoint knows. `title`: what it is called at the start of a sentence; `note`: what it draws,
    in one sentence, or ""."""

    title: str
    note: str
    words: frozenset[str]

    def warning(self, texts: Iterable[str], added: Iterable[str] = ()) -> str:
        """A sentence that names the words of these prompts that it does not know, and the note; or "".

        `added`: texts whose words are known too, such as triggers of LoRAs.
        """
        known = self.words | _NOT_THINGS | {word for text in added for word in words_of(text)}
        unknown = [
            word
            for word in dict.fromkeys(word for text in texts for word in words_of(_plain(text)))
            if len(word) > 1 and "'" not in word and not any(each in known for each in _forms(word))
        ]
        if not unknown:
            return ""
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        named = ", ".join(unknown[:MOST_NAMED])
        return " ".join(filter(None, (f"{self.title} does not know: {named}{more}.", self.note)))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without numbers and without 's at their end."""
    found = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    return [word.removesuffix("'s") for word in found]


def vocabulary_in(said: Mapping[str, Any], name: str, source: str, problems: list[str]) -> Vocabulary | None:
    """The vocabulary in a checkpoint's `webbduck.json`, None if it has none; an invalid one is reported, not
    used."""
    listed = said.get("vocabulary")
    if listed is None:
        return None
    words = listed.get("words") if isinstance(listed, dict) else None
    texts = [listed.get(key, "") for key in ("title", "note")] if isinstance(listed, dict) else []
    is_valid = isinstance(words, list) and all(isinstance(each, str) for each in [*words, *texts])
    if not is_valid or not words:
        problems.append(f"{source}: vocabulary needs words, a list of texts, and title and note as texts.")
        return None
    title, note = (readable(each).strip() for each in texts)
    return Vocabulary(title or name, note, frozenset(word for each in words for word in words_of(each)))


def _plain(prompt: str) -> str:
    """The words of a prompt without brackets and weights."""
    return " ".join(piece[0] for piece in parse(prompt) if piece is not None)


def _forms(word: str) -> tuple[str, ...]:
    """A word, its plural, and what it can be the plural of."""
    singular = f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("es")
    return (word, f"{word}s", word.removesuffix("s"), singular)
