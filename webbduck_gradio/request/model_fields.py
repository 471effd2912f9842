"""The settings of the VAE and of the UNet's borders."""

from __future__ import annotations

from .inpaint_fields import InpaintFields


class ModelFields(InpaintFields):
    """Further fields of `GenerationRequest`, which follow those of `InpaintFields` in the API."""
