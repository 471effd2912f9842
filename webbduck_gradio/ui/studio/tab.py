"""The Studio tab: the form that builds a request, and the viewer."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...api.gradio_helpers import BACKGROUND_EVENT, USER_ACTION, notification
from ...errors import WebbDuckError
from ...jobs.job import Kind
from ...models.catalog.defaults import DEFAULT_FIELDS
from ...request import SETTINGS
from ...request.fields import FOLDS
from ...services import Services
from ..modules import call, start_view
from ..tab import PageParts, Tab
from ..theme import asset
from . import (
    details,
    folder_batch,
    hires,
    image_input,
    prompt_box,
    recent,
    schedules,
    second_pass,
    settings_menu,
    submitter,
    vae_list,
    viewer,
)
from .controls import build_group, build_one, of_group
from .form import Form, settings_of
from .lora_stack import build_stack
from .preset_store import PresetStore


def fold(name: str, title: str) -> gr.HTML:
    """The header of a collapsible group; form.js shows the rest of its column while it is open."""
    template = (
        f'<h3 class="fold-heading"><button type="button" class="fold-head" aria-expanded="false" '
        f'data-fold="{name}"><span class="fold-title">{title}</span><span class="fold-summary"></span>'
        "</button></h3>"
    )
    return gr.HTML("", html_template=template, js_on_load=None, apply_default_css=False)


def build(parts: PageParts) -> None:
    """The tab's controls and events."""
    services, form, outcome = parts.services, parts.form, parts.channels["outcome"]
    fields = form.fields
    default = services.registry.default_checkpoint()
    start = settings_of(default)
    presets = PresetStore(services.settings.data_dir / "shelf.json")
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="controls"):
            gr.HTML(
                "",
                html_template=asset("shared/mobile_sheet.html"),
                js_on_load=None,
                elem_id="sheet-head",
                apply_default_css=False,
            )
            with gr.Column(elem_id="settings"):
                with gr.Row(elem_id="model-row"):
                    chosen = {"base_model": default.name if default else None}
                    build_one(
                        fields,
                        SETTINGS["base_model"],
                        chosen,
                        choices=form.checkpoint_entries(),
                        min_width=120,
                    )
                    menu = settings_menu.view(services, presets)
                prompt_box.build(services, fields, presets)
                fields["loras"] = build_stack(form.checkpoint)
                _size(fields, start)
                gr.HTML(
                    "",
                    html_template='<div class="missing-vae-place"></div>',
                    js_on_load=start_view("studio/missing_vae.js"),
                    elem_id="missing-vae",
                    apply_default_css=False,
                )
                gr.HTML(
                    "",
                    html_template='<div class="distilled-place"></div>',
                    js_on_load=start_view("studio/distilled.js"),
                    elem_id="distilled",
                    apply_default_css=False,
                )
                build_group(fields, "sampling", start)
                _seed(fields)
                for group, title in FOLDS.items():
                    with gr.Column(elem_classes="fold", elem_id=f"fold-{group}"):
                        fold(group, title)
                        if group == "image":
                            image_input.build(services, fields, outcome)
                        elif group == "second":
                            second_pass.build(form)
                        elif group == "hires":
                            hires.build(form)
                        elif group == "regions":
                            details.build(services, fields, outcome)
                        else:
                            build_group(
                                fields,
                                group,
                                start,
                                {"vae": vae_list.options(services.registry)},
                            )
            gr.HTML(
                "",
                html_template=asset("studio/input_chip.html"),
                js_on_load=start_view("studio/input_chip.js"),
                elem_id="input-chip",
                apply_default_css=False,
            )
            folder_batch.build(services, form)
            with gr.Row(elem_id="dock"):
                for setting in of_group("run"):
                    build_one(fields, setting, min_width=64, scale=1)
                test = gr.Button("Test", elem_id="test", min_width=70, scale=1)
                generate = gr.Button(
                    "Generate", variant="primary", elem_id="generate", min_width=120, scale=3
                )
                gr.HTML(
                    "",
                    html_template='<div class="endless"></div>',
                    js_on_load=start_view("studio/endless.js"),
                    elem_id="endless",
                    apply_default_css=False,
                )
        with gr.Column(elem_id="picture"):
            stage = viewer.view(services)
        recent.view(services)
    _submitting(services, form, outcome, generate, test)
    settings_menu.wire(services, menu, presets, form, outcome)
    by_checkpoint = [fields[name] for name in DEFAULT_FIELDS]
    form.checkpoint.input(
        form.choose, [form.checkpoint, *by_checkpoint], [*by_checkpoint, outcome], **BACKGROUND_EVENT
    )
    schedules.wire(fields, outcome)
    viewer.wire(services, stage, form, outcome)


def _size(fields: dict[str, Any], start: dict[str, Any]) -> None:
    template = (
        '<div class="size"><span class="size-label" id="size-label">Size</span>'
        '<div class="size-presets" role="radiogroup" aria-labelledby="size-label"></div></div>'
    )
    gr.HTML(
        "",
        html_template=template,
        js_on_load=start_view("studio/size.js"),
        elem_id="size",
        apply_default_css=False,
    )
    with gr.Row(elem_classes="fields size-row"):
        build_one(fields, SETTINGS["width"], start, min_width=70)
        swap = gr.Button("⇄", elem_id="swap", min_width=38, scale=0)
        build_one(fields, SETTINGS["height"], start, min_width=70)
    size = [fields["width"], fields["height"]]
    swap.click(None, size, size, js="(width, height) => [height, width]", **BACKGROUND_EVENT)


def _seed(fields: dict[str, Any]) -> None:
    with gr.Row(elem_classes="fields seed-row"):
        build_one(fields, SETTINGS["seed"], min_width=120, scale=4)
        dice = gr.Button("Random", elem_id="dice", size="sm", min_width=70, scale=1)
        reuse = gr.Button("Reuse last", elem_id="reuse", size="sm", min_width=90, scale=1)
    seed = fields["seed"]
    dice.click(None, None, seed, js="() => ''", **BACKGROUND_EVENT)
    reuse.click(
        None,
        seed,
        seed,
        js=call("shared/bus.js", "String(module.last.get('seed') ?? seed)", "seed"),
        **BACKGROUND_EVENT,
    )


def _submitting(
    services: Services, form: Form, outcome: gr.HTML, generate: gr.Button, test: gr.Button
) -> None:
    def submit(kind: Kind, values: tuple[Any, ...], request: gr.Request, **more: str) -> str:
        try:
            asked = form.to_request(values)
            if kind == "test":
                asked["num_images"] = 1
            job = services.submit(asked, kind, request.username)
        except WebbDuckError as error:
            field = getattr(error, "field", None)
            return notification(error=_with_label(str(error), field), field=field, **more)
        return notification(job_id=job.id, warnings=list(job.warnings), sent=asked["prompt"], **more)

    def submit_batch(request: gr.Request, *values: Any) -> str:
        return submit("generate", values, request)

    def submit_test(request: gr.Request, *values: Any) -> str:
        return submit("test", values, request)

    inputs = list(form.fields.values())
    generate.click(submit_batch, inputs, outcome, **USER_ACTION)
    test.click(submit_test, inputs, outcome, **USER_ACTION)
    submitter.build(form, outcome, submit)
    # Runs in the browser only: the page's scripts get each value that changes. One event for all, with all
    # values, would take 50 ms of processor time for each letter: Gradio copies the inputs of an event twice.
    for name, control in form.fields.items():
        control.change(None, control, None, js=form.script("changed", name), **BACKGROUND_EVENT)


def _with_label(sentence: str, field: str | None) -> str:
    """A sentence that begins with a field's name, as the API says it, with the label of its control."""
    setting = SETTINGS.get(field or "")
    return (
        f"{setting.label}{sentence[len(setting.name) :]}"
        if setting and sentence.startswith(f"{setting.name} ")
        else sentence
    )


TAB = Tab(
    "Studio",
    (
        "studio/viewer.css",
        "studio/viewer_notices.css",
        "studio/viewer_waiting.css",
        "studio/viewer_tools.css",
        "studio/viewer_grid.css",
        "studio/viewer_device.css",
        "studio/form.css",
        "studio/distilled.css",
        "studio/prompt_steps.css",
        "studio/prompt_unknown.css",
        "studio/lora_stack.css",
        "studio/ordered_rows.css",
        "studio/details.css",
        "studio/wildcards.css",
        "studio/styles.css",
        "studio/input_chip.css",
        "studio/outpaint.css",
        "studio/folder_batch.css",
        "studio/run_buttons.css",
        "studio/recent.css",
    ),
    build,
)
