"""The second pass: another checkpoint goes on where the first one stops, or over its picture."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...services import Services
from ..shared.numbers import number_field

MODES = [("Automatic", "auto"), ("Takes over", "refiner"), ("Draws over", "img2img")]


def build(services: Services, fields: dict[str, Any]) -> None:
    """The group's controls; studio/form.js shows the ones that mean something for the chosen model."""
    names = [c.name for c in services.registry.second_pass_models()]
    fields["second_pass_model"] = gr.Dropdown(
        [("Off", ""), *names], value="", label="Model", elem_id="second-model"
    )
    fields["second_pass_mode"] = gr.Radio(
        MODES, value="auto", label="Mode", elem_id="second-mode", elem_classes="segmented"
    )
    fields["refiner_switch"] = number_field(0.8, "Takes over at", "refiner-switch")
    fields["refinement_strength"] = number_field(0.3, "Strength", "refinement-strength")
    fields["second_pass_steps"] = number_field(
        None, "Steps", "second-steps", placeholder="As many as the first"
    )
    gr.HTML(
        "",
        html_template='<p class="second-said" role="status"></p>',
        js_on_load=None,
        elem_id="second-said",
        apply_default_css=False,
    )
