"""Further settings of inpainting and outpainting."""

from __future__ import annotations

from .hires_fields import HiresFields


class InpaintFields(HiresFields):
    """Further fields of `GenerationRequest`, which follow those of `HiresFields` in the API."""
