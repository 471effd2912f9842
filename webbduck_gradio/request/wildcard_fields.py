"""The settings of wildcards and of variants in a prompt."""

from __future__ import annotations

from .style_fields import StyleFields


class WildcardFields(StyleFields):
    """Further fields of `GenerationRequest`, which follow those of `StyleFields` in the API."""
