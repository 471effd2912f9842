"""The embeddings that a request's prompts name, checked against its checkpoint."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import ModelError, WebbDuckError
from ..request import GenerationRequest
from .catalog.lookup import unknown
from .catalog.registry import Checkpoint, Registry
from .embeddings import Embedding, EmbeddingIndex, Mention, contents
from .tokens import parse

UNLISTED = " is read as plain words: the embedding {} is not among the embeddings of the request."


class Named(NamedTuple):
    """What the checkpoint can use of what is named, and sentences about what is read otherwise."""

    embeddings: tuple[Embedding, ...]
    notes: tuple[str, ...]


def named_embeddings(
    registry: Registry, request: GenerationRequest, texts: Sequence[str], is_own: bool = True
) -> Named:
    """What `texts`, the prompts of a request, name. Where its checkpoint is not there, whether an embedding
    fits is not asked. `is_own`: whether the checkpoint is the picture's, not that of its hires pass alone.

    Raises `NotFoundError` for `embedding:NAME` of which there is none, and for one that the request lists;
    `ModelError` for such an embedding that the checkpoint cannot use, and for one whose numbers are damaged.
    Another name alone that cannot be used stays words.
    """
    name = request.base_model
    known = registry.checkpoint(name) if registry.has_checkpoint(name) else None
    index = index_of(registry, request)
    fitting = index.fitting(known)
    pieces = [unicodedata.normalize("NFC", piece[0]) for text in texts for piece in parse(text) if piece]
    mentions = list(_mentions(fitting, pieces))
    for mention in mentions:
        if mention.embedding is None:
            raise _refused(mention, registry.embedding_index, known)
    used = tuple(dict.fromkeys(mention.embedding for mention in mentions if mention.embedding))
    for each in used:
        if _is_damaged(each):
            raise ModelError(
                f"The embedding {each.name} holds numbers that are infinite or undefined; get it again."
            )
    plain = dict.fromkeys(each.embedding for each in mentions if each.embedding and not each.is_explicit)
    unread = _unread(index, used, pieces)
    if request.embeddings is not None and is_own and unread:
        raise ModelError(_why_not(unread[0], known))
    notes = [f"{each.trigger} is read as plain words: {_continued(_why_not(each, known))}" for each in unread]
    if request.embeddings is not None:
        others = _unread(registry.embedding_index.fitting(known), (*used, *unread), pieces)
        notes += [f"{each.trigger}{UNLISTED.format(each.name)}" for each in others]
    return Named(used, (*notes, *_namesakes(fitting, plain)))


def index_of(registry: Registry, request: GenerationRequest) -> EmbeddingIndex:
    """What the request's prompts can name. Raises `NotFoundError` or `ModelError` for an embedding that it
    lists and that cannot be used."""
    if request.embeddings is None:
        return registry.embedding_index
    for name in request.embeddings:
        registry.usable_embedding(name)
    return registry.embedding_index.listed(request.embeddings)


def is_unlisted(note: str) -> bool:
    """Whether a note tells of an embedding that is not used because the request does not list it."""
    return note.endswith(UNLISTED.partition("{}")[2])


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


def _unread(index: EmbeddingIndex, used: Sequence[Embedding], pieces: Sequence[str]) -> list[Embedding]:
    """Those that a name alone would stand for, but does not."""
    taken = {each.trigger.casefold() for each in used}
    named = dict.fromkeys(mention.embedding for mention in _mentions(index, pieces))
    return [each for each in named if each is not None and each.trigger.casefold() not in taken]


def _continued(sentence: str) -> str:
    """A sentence behind a colon."""
    return sentence[:3].replace("The", "the") + sentence[3:]


def _namesakes(fitting: EmbeddingIndex, plain: Iterable[Embedding]) -> Iterator[str]:
    """A sentence for each name alone that several embeddings have."""
    for each in plain:
        if others := fitting.namesakes(each):
            yield (
                f"{each.trigger} is the embedding {each.name} here; write embedding:{others[0].name} for the "
                "other."
            )
