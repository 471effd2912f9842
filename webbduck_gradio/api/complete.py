"""Completion of words in a prompt: the endpoint for clients, and the lists from which the page does it."""

from __future__ import annotations

from typing import Any

from ..errors import RequestError
from ..models.catalog.registry import Registry
from ..models.completion import Completion, Word, Words
from ..models.completion import complete as completed
from ..request import MAX_PROMPT
from ..services import Services
from .endpoints import endpoint

LONGEST_DETAIL = 80
"""Characters of a style's text beside its name."""


@endpoint()
def complete(services: Services, text: str, position: int | None = None) -> Completion:
    """What the word before `position` in a prompt (None: its end) can be completed to, as the page offers it:
    {"from", "to", "options"}. An option replaces the characters from `from` to `to` by its `insert`; it has
    `kind` (lora, embedding, wildcard, style, tag), `label`, `detail`, a tag's `count` and `alias_of`, the tag
    that `label` is an alias of. A style has nothing to insert: its name belongs into `styles`."""
    if not isinstance(text, str) or len(text) > MAX_PROMPT:
        raise RequestError(f"text must be a text of at most {MAX_PROMPT:,} characters.")
    if position is None:
        position = len(text)
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= len(text):
        raise RequestError(f"position must be a whole number from 0 to {len(text):,}, the length of text.")
    return completed(text, position, _words(services.registry))


def completion_view(registry: Registry) -> dict[str, Any]:
    """The words for the page, without the LoRAs, which it has: {wildcards, embeddings, styles, tags}. Of the
    tags only `version`, by which the page fetches them, `count`, and `known`, as in `TagList`."""
    words = _words(registry)

    def listed(kind: str) -> list[dict[str, str]]:
        return [
            {"name": each.name, "detail": each.detail, "origin": each.origin} for each in getattr(words, kind)
        ]

    tags = words.tags
    return {kind: listed(kind) for kind in ("wildcards", "embeddings", "styles")} | {
        "tags": {"version": tags.version, "count": tags.count, "known": tags.known}
    }


def _words(registry: Registry) -> Words:
    """All that can be completed; a kind that is missing here is completed neither here nor in the page."""
    wildcards = {each.name: each for each in registry.wildcards() if not each.unusable}
    return Words(
        loras=[
            Word(
                each.name,
                each.trigger or each.kind,
                " ".join((each.trigger, *each.tags)),
                each.weight,
                each.origin,
            )
            for each in registry.loras()
            if not each.unusable
        ],
        embeddings=[
            Word(each.trigger, f"{each.vectors} {'token' if each.vectors == 1 else 'tokens'}", each.name)
            for each in registry.embeddings()
            if not each.unusable
        ],
        styles=[
            Word(each.name, _shortened(each.prompt or each.negative_prompt), origin=each.origin)
            for each in registry.styles.styles()
            if not each.unusable
        ],
        wildcards=[
            Word(name, f"{each.lines} {'line' if each.lines == 1 else 'lines'}", origin=each.origin)
            for name, each in wildcards.items()
        ],
        tags=registry.tags.tags(),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 3]}..."
