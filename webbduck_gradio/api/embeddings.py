"""The endpoint about embeddings (textual inversion)."""

from __future__ import annotations

from typing import TypedDict

from ..models.embeddings import Embedding
from ..services import Services
from .catalog import check_name
from .endpoints import endpoint


class EmbeddingAnswer(TypedDict):
    """An embedding, as /embeddings lists it."""

    name: str
    origin: str
    """Label of the other program's folder that it lies in, "" of our own."""
    trigger: str
    """What stands for it in a prompt."""
    vectors: int
    """Tokens that it takes."""
    arch: str
    context: int
    """Sum of the widths of its vectors, 2048 for SDXL."""
    description: str
    notes: str
    base: str
    tags: list[str]
    size_bytes: int
    modified: float
    preview: str | None
    hash: str | None
    converted_from: str
    """Name of the pickle that it was made from, or ""."""
    compatible: bool | None
    reason: str | None


def embedding_view(embedding: Embedding, compatible: bool | None) -> EmbeddingAnswer:
    return {
        "name": embedding.name,
        "origin": embedding.origin,
        "trigger": embedding.trigger,
        "vectors": embedding.vectors,
        "arch": embedding.arch,
        "context": embedding.context,
        "description": embedding.description,
        "notes": embedding.notes,
        "base": embedding.base,
        "tags": list(embedding.tags),
        "size_bytes": embedding.size_bytes,
        "modified": embedding.modified,
        "preview": embedding.preview[1] if embedding.preview else None,
        "hash": embedding.hash,
        "converted_from": embedding.converted_from,
        "compatible": compatible,
        "reason": embedding.unusable,
    }


@endpoint()
def embeddings(services: Services, base_model: str | None = None) -> list[EmbeddingAnswer]:
    """The embeddings (textual inversion) in checkpoint/embedding and among the LoRAs: `trigger` stands for
    one in a prompt, where it takes `vectors` tokens; `compatible`: whether it can be used with `base_model`;
    `reason` says why one cannot be used at all."""
    check_name("base_model", base_model)
    registry = services.registry
    known = None if base_model is None else registry.checkpoint_called(base_model)
    return [
        embedding_view(each, None if known is None else each.fits(known)) for each in registry.embeddings()
    ]
