"""The settings of the regions that a detector finds and that are drawn again in detail."""

from __future__ import annotations

from .model_fields import ModelFields


class RegionFields(ModelFields):
    """Further fields of `GenerationRequest`, which follow those of `ModelFields` in the API."""
