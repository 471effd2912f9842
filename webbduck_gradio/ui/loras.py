"""The LoRAs tab: what lies in the LoRA folder, and what each is."""

from __future__ import annotations

import gradio as gr

from .theme import asset


def build() -> None:
    """The tab's view; it draws what the catalog channel publishes."""
    gr.HTML("", html_template=asset("loras.html"), js_on_load=asset("loras.js"), elem_id="loras-view")
