"""The second pass: another checkpoint continues where the first one stops, or reworks the finished image."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...request import SETTINGS
from ...services import Services
from .controls import build_group, build_one


def build(services: Services, fields: dict[str, Any]) -> None:
    """The group's controls; studio/form.js shows the ones that mean something for the chosen model."""
    names = [c.name for c in services.registry.second_pass_models()]
    build_one(fields, SETTINGS["second_pass_model"], choices=[("Off", ""), *names])
    build_group(fields, "second")
    gr.HTML(
        "",
        html_template='<p class="second-said" role="status"></p>',
        js_on_load=None,
        elem_id="second-said",
        apply_default_css=False,
    )
