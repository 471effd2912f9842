"""The embeddings (textual inversion) that a request's prompts name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from .base import Name
from .fields import Setting
from .wildcard_fields import WildcardFields

MOST_LISTED = 10_000
"""More than the prompts of a request have room for."""


class EmbeddingFields(WildcardFields):
    """Further fields of `GenerationRequest`, which follow those of `WildcardFields` in the API."""

    # fmt: off
    embeddings: Annotated[
        Annotated[tuple[Name, ...], Field(max_length=MOST_LISTED)] | None,
        Setting(
            label="Embeddings", group="prompt", control="recorded", reset="kept", is_content=True,
            help="The embeddings that words of the prompts stand for. Each must be installed, and the names "
            "of others are read as words.",
            api_help="Names of /embeddings. None = all that the prompts name, which `request` lists, so that "
            "the picture is made again with these or not at all; [] = none.",
            listed_at_default=False,
        ),
    ] = None
    # fmt: on

    @field_validator("embeddings")
    @classmethod
    def _listed_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if names is None else tuple(dict.fromkeys(names))
