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
    mentions = list(_mentions(fitting, pieces))
    for mention in mentions:
        if mention.embedding is None:
            raise _refused(mention, everything, known)
    used = tuple(dict.fromkeys(mention.embedding for mention in mentions if mention.embedding))
    for each in used:
        if _is_damaged(each):
            raise ModelError(
                f"The embedding {each.name} holds numbers that are infinite or undefined; get it again."
            )
    plain = dict.fromkeys(each.embedding for each in mentions if each.embedding and not each.is_explicit)
    notes = [*_unread(everything, used, pieces, known), *_namesakes(fitting, plain)]
    return Named(used, tuple(notes))


def _mentions(index: EmbeddingIndex, pieces: Iterable[str]) -> Iterator[Mention]:
    return (mention for text in pieces for mention in index.mentions(text))


def _is_damaged(embedding: Embedding) -> bool:
    """Whether its numbers cannot be computed with. Where its drive is away, the job waits, or says so."""
    try:
        return not contents(embedding.path, embedding.stamp).is_finite
    except ModelError:
        return False


def _refused(mention: Mention, everything: EmbeddingIndex, known: Checkpoint | None) -> WebbDuckError:
    there = next(everything.mentions(f"embedding:{mention.asked}"), None)
    if there is None or there.embedding is None:
        empty = "; put one into checkpoint/embedding" if not everything.embeddings else ""
        return unknown(mention.asked, "embedding", everything.embeddings, empty)
    return ModelError(_why_not(there.embedding, known))


def _why_not(embedding: Embedding, known: Checkpoint | None) -> str:
    return str(embedding.unusable if known is None else embedding.why_not(known))


def _unread(
    everything: EmbeddingIndex, used: Sequence[Embedding], pieces: Sequence[str], known: Checkpoint | None
) -> Iterator[str]:
    """A sentence for each name alone that stays words."""
    taken = {each.trigger.casefold() for each in used}
    for each in dict.fromkeys(mention.embedding for mention in _mentions(everything, pieces)):
        if each is not None and each.trigger.casefold() not in taken:
            why = _why_not(each, known)
            yield f"{each.trigger} is read as plain words: {why[:3].replace('The', 'the')}{why[3:]}"


def _namesakes(fitting: EmbeddingIndex, plain: Iterable[Embedding]) -> Iterator[str]:
    """A sentence for each name alone that several embeddings have."""
    for each in plain:
        if others := fitting.namesakes(each):
            yield (
                f"{each.trigger} is the embedding {each.name} here; write embedding:{others[0].name} for the "
                "other."
            )
