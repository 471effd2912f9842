"""The settings of wildcards and of variants in a prompt."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from .base import reject_bool
from .fields import Setting
from .style_fields import StyleFields

MAX_COMBINATIONS = 1_000
"""Combinations of a prompt that are counted and numbered."""


class WildcardFields(StyleFields):
    """Further fields of `GenerationRequest`, which follow those of `StyleFields` in the API."""

    # fmt: off

    combination: Annotated[
        Annotated[int, Field(ge=0, le=MAX_COMBINATIONS - 1)] | None, BeforeValidator(reject_bool), Setting(
            label="Combination", group="more", control="number", place=90, placeholder="By the seed",
            help="Which combination of the prompt's wildcards and variants the first picture shows, from 0; "
            "each further one shows the next.",
            page_help="Empty: they are drawn from the seed.",
            api_help="None = they are drawn from the seed, as those of the other prompts always are. "
            "/resolve tells how many there are.",
            listed_at_default=False, is_content=True, lines={"queue": "combination {}"},
        )
    ] = None
    # fmt: on
