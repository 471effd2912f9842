"""The embeddings that a request's prompts name, recorded when it is queued: a job must not come to mean other
pictures by a file that appears or vanishes before it is drawn."""

from __future__ import annotations

from typing import Any

from ..request import GenerationRequest
from .catalog.lookup import find
from .catalog.registry import Registry
from .detail_admission import checked
from .prompt_resolver import resolve_prompt, varies


def with_catalog_names(catalog: Registry, names: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The names of embeddings as the catalog has them. What is no name of one is left to the validation."""
    installed = catalog.embeddings()
    found = [find(each, installed).model if isinstance(each, str) else None for each in names]
    return [each if here is None else here.name for each, here in zip(names, found, strict=True)]


def with_embeddings(catalog: Registry, request: GenerationRequest) -> GenerationRequest:
    """The request with all embeddings that its prompts name, of every image and pass. Raises what
    `resolve_prompt` raises."""
    if request.embeddings is not None:
        return request
    names: dict[str, None] = {}
    if catalog.embedding_index.embeddings:
        for index in range(request.num_images if varies(request) else 1):
            wordings = [resolve_prompt(catalog, request, index)]
            if request.has_hires:
                wordings.append(resolve_prompt(catalog, request.for_hires_pass(), index, request, "hires "))
            wordings += [words for _, words in checked(catalog, request, index)]
            names |= dict.fromkeys(each.name for words in wordings for each in words.embeddings)
    return request.model_copy(update={"embeddings": tuple(names)})
