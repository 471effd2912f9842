"""Checking a request as the studio does before it queues one."""

from __future__ import annotations

from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.models.admission import validate_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest


def validate(registry: Registry, request: GenerationRequest) -> list[str]:
    """The warnings about a request, with the catalog's own folder of input pictures."""
    return validate_request(registry, request, InputImageStore(registry.settings))
