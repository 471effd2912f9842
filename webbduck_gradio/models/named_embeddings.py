"""The embeddings that a request's prompts name, checked against its checkpoint."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import ModelError, WebbDuckError
from .catalog.lookup import unknown
from .catalog.registry import Checkpoint, Registry
from .embeddings import Embedding, EmbeddingIndex, Mention, contents
from .tokens import parse


class Named(NamedTuple):
    """What the checkpoint can use of what is named, and sentences about what is read otherwise."""

    embeddings: tuple[Embedding, ...]
    notes: tuple[str, ...]


def named_embeddings(registry: Registry, base_model: str, texts: Sequence[str]) -> Named:
    """What `texts`, the prompts of a request, name. Where there is no checkpoint named `base_model`, whether
    an embedding fits is not asked.

    Raises `NotFoundError` for `embedding:NAME` of which there is none, and `ModelError` for one that the
    checkpoint cannot use or whose numbers are damaged. A name alone that cannot be used stays words.
    """
    known = registry.checkpoint(base_model) if registry.has_checkpoint(base_model) else None
    everything = registry.embedding_index
    fitting = everything.fitting(known)
    pieces = [unicodedata.normalize("NFC", piece[0]) for text in texts for piece in parse(text) if piece]
    used: dict[Embedding, None] = {}
    for mention in _mentions(fitting, pieces):
        if mention.embedding is None:
            raise _refused(mention, everything, known)
        used[mention.embedding] = None
    for each in used:
        if not contents(each.path, each.stamp).is_finite:
            raise ModelError(
                f"The embedding {each.name} holds numbers that are infinite or undefined; get it again."
            )
    return Named(tuple(used), tuple(_notes(everything, fitting, pieces, known)))


def _mentions(index: EmbeddingIndex, pieces: Iterable[str]) -> Iterator[Mention]:
    return (mention for text in pieces for mention in index.mentions(text))


def _refused(mention: Mention, everything: EmbeddingIndex, known: Checkpoint | None) -> WebbDuckError:
    there = next(everything.mentions(f"embedding:{mention.asked}"), None)
    if there is None or there.embedding is None:
        empty = "; put one into checkpoint/embedding" if not everything.embeddings else ""
        return unknown(mention.asked, "embedding", everything.embeddings, empty)
    unusable = there.embedding.unusable
    if unusable is None and known is not None:
        unusable = there.embedding.why_not(known)
    return ModelError(unusable or f"The embedding {there.embedding.name} cannot be used.")


def _notes(
    everything: EmbeddingIndex, fitting: EmbeddingIndex, pieces: Sequence[str], known: Checkpoint | None
) -> Iterator[str]:
    """A sentence for each name alone that stays words, or that several embeddings have."""
    usable = set(fitting.embeddings)
    if len(usable) < len(everything.embeddings):
        triggers = {each.trigger.casefold() for each in usable}
        for each in dict.fromkeys(mention.embedding for mention in _mentions(everything, pieces)):
            if each is not None and each not in usable and each.trigger.casefold() not in triggers:
                why = str(each.unusable if known is None else each.why_not(known))
                yield f"{each.trigger} is read as plain words: {why[:3].replace('The', 'the')}{why[3:]}"
    for mention in dict.fromkeys(_mentions(fitting, pieces)):
        taken = mention.embedding
        if taken is None or mention.is_explicit:
            continue
        same = [each.name for each in usable - {taken} if each.trigger.casefold() == taken.trigger.casefold()]
        if same:
            yield (
                f"{taken.trigger} is the embedding {taken.name} here; write embedding:{min(same)} for the "
                "other."
            )
