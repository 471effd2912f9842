"""The prompts of the Studio."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..request import MAX_PROMPT
from .services import Services


def build(services: Services, fields: dict[str, Any]) -> None:
    """Prompt and negative prompt."""
    fields["prompt"] = gr.Textbox(
        label="Prompt",
        lines=3,
        max_lines=8,
        placeholder="What should the picture show?",
        max_length=MAX_PROMPT,
        elem_id="prompt",
        autofocus=True,
    )
    fields["negative_prompt"] = gr.Textbox(
        label="Negative prompt",
        lines=1,
        max_lines=6,
        placeholder="Negative prompt: what it should not show",
        max_length=MAX_PROMPT,
        elem_id="negative",
    )
