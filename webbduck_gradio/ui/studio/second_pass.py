"""Controls of the second pass: a refiner for the last steps, or img2img on the finished image."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...request import SETTINGS
from ...services import Services
from .controls import build_group, build_one


def build(services: Services, fields: dict[str, Any]) -> None:
    """Build the group's controls; studio/form.js shows those that apply to the selected model."""
    names = [c.name for c in services.registry.second_pass_models()]
    build_one(fields, SETTINGS["second_pass_model"], choices=[("Off", ""), *names])
    build_group(fields, "second")
    gr.HTML(
        "",
        html_template='<p class="second-pass-note" role="status"></p>',
        js_on_load=None,
        elem_id="second-pass-note",
        apply_default_css=False,
    )
