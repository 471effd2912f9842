"""Controls of the second pass: a refiner for the last steps, or img2img on the finished image."""

from __future__ import annotations

import gradio as gr

from ...request import SETTINGS
from .controls import build_group, build_one
from .form import Form


def build(form: Form) -> None:
    """Build the group's controls; studio/form.js shows those that apply to the selected model."""
    build_one(form.fields, SETTINGS["second_pass_model"], choices=form.second_entries())
    build_group(form.fields, "second")
    gr.HTML(
        "",
        html_template='<p class="second-pass-note" role="status"></p>',
        js_on_load=None,
        elem_id="second-pass-note",
        apply_default_css=False,
    )
