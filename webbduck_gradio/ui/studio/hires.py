"""Controls of the hires pass, whose upscalers and checkpoints are the catalog's."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...models.catalog.registry import Registry
from ...request.hires_fields import LANCZOS, LATENT_UPSCALERS, SAME
from ..shared.origins import entry
from .controls import build_group
from .form import Form

AUTOMATIC = "Automatic: the first model, else Lanczos"
MODELS = ("hires_upscaler", "hires_model")
"""The settings whose choices change with the catalog."""


def build(form: Form) -> None:
    """Build the group's controls; studio/form.js shows those that apply."""
    lists = {name: {"choices": each} for name, each in _entries(form.services.registry).items()}
    build_group(form.fields, "hires", more=lists)


def choices(registry: Registry) -> list[Any]:
    """Updates of the controls of `MODELS` after the catalog changed; what is chosen stays."""
    entries = _entries(registry)
    return [gr.update(choices=entries[name]) for name in MODELS]


def _entries(registry: Registry) -> dict[str, list[dict[str, str]]]:
    of_pictures = "Of pictures"
    models = [entry(each, of_pictures) for each in registry.upscalers() if not each.unusable]
    bases = [
        entry(each)
        for each in registry.checkpoints()
        if not each.unusable and each.arch not in ("sdxl-refiner", "sdxl-inpaint")
    ]
    return {
        "hires_upscaler": [
            {"value": "", "label": AUTOMATIC},
            *models,
            {"value": LANCZOS, "label": LANCZOS, "group": of_pictures},
            *({"value": each, "label": each, "group": "Of latents"} for each in LATENT_UPSCALERS),
        ],
        "hires_model": [
            {"value": "", "label": SAME},
            *bases,
        ],
    }
