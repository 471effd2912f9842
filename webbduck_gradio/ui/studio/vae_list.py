"""The list of VAEs in the form."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...models.catalog.registry import Registry
from ...request.model_fields import OWN_VAE
from ..shared.origins import entry

OWN = "The checkpoint’s own"


def entries(registry: Registry) -> list[dict[str, str]]:
    """The choices of the list (shared/choices.js): the checkpoint's own, then the usable ones by name."""
    usable = (each for each in registry.vaes() if each.unusable is None)
    return [{"value": OWN_VAE, "label": OWN}, *map(entry, usable)]


def options(registry: Registry) -> dict[str, Any]:
    """Those of the control."""
    return {"choices": entries(registry)}


def after_change(registry: Registry, chosen: Any) -> tuple[Any, str | None]:
    """The list after the catalog changed, and a sentence if the chosen VAE is gone: the checkpoint's own then
    takes its place. A selection that still exists is not sent back, as it may have changed meanwhile."""
    choices = entries(registry)
    if any(each["value"] == chosen for each in choices):
        return gr.update(choices=choices), None
    sentence = f"The VAE {chosen} is no longer available; the checkpoint's own is selected instead."
    return gr.update(choices=choices, value=OWN_VAE), sentence
