"""Registration of all endpoints; a new module of endpoints is added here."""

from __future__ import annotations

import gradio as gr

from ..jobs import dispatcher
from ..services import Services
from . import (
    caption,
    catalog,
    complete,
    conversion,
    detect,
    embeddings,
    endpoints,
    folder,
    gallery,
    generate,
    hires,
    model_folders,
    queue,
    redraw,
    styles,
    upscale,
    wildcards,
)


def register(services: Services, ticket_secret: str) -> None:
    """Add every endpoint to the Blocks being built. To be called before the page's own events are added:
    Gradio silently renames the later of two equal names."""
    modules = (
        *(generate, folder, queue, catalog, model_folders, conversion),
        *(embeddings, styles, wildcards, complete),
        *(gallery, upscale, hires, redraw, caption, detect),
    )
    endpoints.register(services, *modules)

    def run_next_job(services: Services, ticket: str) -> str:
        return dispatcher.run_next_job(services.worker, ticket, ticket_secret)

    gr.api(
        endpoints.for_clients(services, run_next_job),
        api_name=dispatcher.GPU_ENDPOINT,
        api_visibility="private",
        concurrency_id="gpu",
        concurrency_limit=1,
    )
