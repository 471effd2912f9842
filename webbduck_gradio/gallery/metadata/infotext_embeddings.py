"""The pairs of A1111's text about embeddings, and what recalling a picture says of those it was made with.

A1111 records each embedding's name and the first 12 digits of its file's SHA-256 as `TI hashes`; Civitai
reads 10 of them from `Hashes`, behind `embed:`. Where it is used is told by the prompt itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...models.catalog.lookup import find
from ...models.embeddings import Embedding, EmbeddingIndex

KEY = "TI hashes"
AUTOV2 = 10
"""Digits of a hash that Civitai finds a file by."""
_PREFIX = "embed:"
_PAIR = re.compile(r" ?([^,:]{1,255}): ([0-9a-fA-F]{4,64})(?=,|$)")


def written(facts: Mapping[str, Any]) -> dict[str, str]:
    """Hash by the name that the prompt holds."""
    return {name.rpartition("/")[2]: value for name, value in (facts.get("embedding_hashes") or {}).items()}


def for_civitai(hashes: Mapping[str, str]) -> dict[str, str]:
    """Entries of `Hashes`."""
    return {f"{_PREFIX}{name}": value[:AUTOV2] for name, value in hashes.items()}


def read(fields: Mapping[str, str], hashes: Mapping[str, object]) -> dict[str, str]:
    """Hash by name; `fields` by A1111's names in small letters, `hashes` from `Hashes`."""
    found = {
        key.removeprefix(_PREFIX): value
        for key, value in hashes.items()
        if key.startswith(_PREFIX) and isinstance(value, str)
    }
    return found | dict(_PAIR.findall(fields.get(KEY.casefold(), "")))


def usable(names: Iterable[str], installed: Sequence[Embedding]) -> list[str]:
    """Those of `names` that can be used here, as they are called here."""
    found = (find(name, installed).model for name in names)
    return [each.name for each in found if each is not None and not each.unusable]


def new_names(listed: Sequence[str], texts: Iterable[str], installed: Sequence[Embedding]) -> Iterator[str]:
    """A sentence for each embedding that a picture's prompts name now, but did not when it was made.
    `listed`: those that they named then."""
    index = EmbeddingIndex(each for each in installed if not each.unusable)
    then = {each.rpartition("/")[2].casefold() for each in listed}
    for each in index.used(texts):
        if each.trigger.casefold() not in then:
            yield (
                f"{each.trigger} was read as words when the picture was made; now it is the name of the "
                f"embedding {each.name}."
            )


def notes(recorded: Mapping[str, str], texts: Iterable[str], installed: Sequence[Embedding]) -> Iterator[str]:
    """A sentence for each embedding of a picture that is not here as it was. `texts`: its prompts, where
    `embedding:` can stand before one of which no hash is recorded, as in ComfyUI."""
    index = EmbeddingIndex(installed)
    for text in texts:
        for mention in index.mentions(unicodedata.normalize("NFC", text)):
            if mention.embedding is None and mention.asked not in recorded:
                yield f"The embedding {mention.asked} is not installed; get it, or take it out of the prompt."
    for name, hash in recorded.items():
        found = find(name, installed, hash)
        here = found.model
        if here is None:
            if not found.several:
                yield f"The embedding {name} is not installed; its name in the prompt is read as words."
        elif here.unusable:
            yield f"The embedding {name} cannot be used here: {here.unusable}"
        elif found.another:
            yield f"The embedding {here.name} is another file here than the picture's (its hash differs)."
        elif found.by == "hash":
            yield f"The embedding {name} is called {here.trigger} here; write that name into the prompt."
