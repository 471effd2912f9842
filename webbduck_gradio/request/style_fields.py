"""The settings of saved styles."""

from __future__ import annotations

from .region_fields import RegionFields


class StyleFields(RegionFields):
    """Further fields of `GenerationRequest`, which follow those of `RegionFields` in the API."""
