"""The second pass: another checkpoint goes on where the first one stops, or over its picture."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .services import Services

MODES = [("Automatic", "auto"), ("Takes over", "refiner"), ("Draws over", "img2img")]


def build(services: Services, fields: dict[str, Any]) -> None:
    """The group's controls; form.js shows the ones that mean something for the chosen model."""
    names = [c.name for c in services.registry.second_pass_models()]
    fields["second_pass_model"] = gr.Dropdown(
        [("Off", ""), *names], value="", label="Model", elem_id="second-model"
    )
    fields["second_pass_mode"] = gr.Radio(
        MODES, value="auto", label="Mode", elem_id="second-mode", elem_classes="segmented"
    )
    fields["refiner_switch"] = gr.Number(0.8, label="Takes over at", step=0.05, elem_id="refiner-switch")
    fields["refinement_strength"] = gr.Number(0.3, label="Strength", step=0.05, elem_id="refinement-strength")
    # Text, since an emptied number field says 0 where nothing is meant.
    fields["second_pass_steps"] = gr.Textbox(
        "", label="Steps", placeholder="As many as the first", max_lines=1, elem_id="second-steps"
    )
    gr.HTML(
        "",
        html_template='<p class="second-said" role="status"></p>',
        js_on_load=None,
        elem_id="second-said",
        apply_default_css=False,
    )
