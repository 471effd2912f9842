"""The Studio tab: the form that builds a request, and the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import WebbDuckError
from ..jobs.job import Kind
from ..models.registry import Checkpoint
from ..request import DEFAULT_SCHEDULER, MAX_PROMPT, SCHEDULERS, GenerationRequest
from .events import PRESS, QUIET, outcome, payload
from .services import Services
from .stack import build_stack
from .theme import asset
from .views import meaningful

PRESETS = {
    "1:1": (1024, 1024),
    "4:3": (1152, 896),
    "3:2": (1216, 832),
    "16:9": (1344, 768),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
}
"""The sizes that SDXL was trained on; for a checkpoint of another native size they are scaled."""
CUSTOM = "Custom"
SIDE_STEP = 8

STARTER_EXAMPLES = (
    "a red duck on a pond",
    "a yellow duck wearing a crown at sunset",
    "a blue duck with a party hat in the snow",
    "a green house in a meadow at night",
)
EXAMPLES = (
    "a duck on a lake at dawn, mist, golden light, photograph",
    "a lighthouse on a cliff, storm, oil painting",
    "a reading corner by a window, plants, warm light",
)


def preset_size(preset: str, native: int) -> tuple[int, int]:
    """Width and height of a preset for a checkpoint of this native size, in multiples of 8."""
    width, height = PRESETS[preset]
    scaled = [max(SIDE_STEP, round(side * native / 1024 / SIDE_STEP) * SIDE_STEP) for side in (width, height)]
    return scaled[0], scaled[1]


@dataclass
class Form:
    """The controls of the Studio that other parts of the page reach."""

    services: Services
    checkpoint: gr.Dropdown
    fields: dict[str, Any]
    """Component of each field of the request that has a control."""
    preset: gr.Radio

    @property
    def settled_by_checkpoint(self) -> list[Any]:
        """What choosing a checkpoint sets, after the checkpoint itself."""
        names = ("width", "height", "steps", "cfg", "scheduler")
        return [self.checkpoint, *(self.fields[name] for name in names), self.preset]

    @property
    def outputs(self) -> list[Any]:
        """Every control that a stored request sets."""
        return [*self.fields.values(), self.preset]

    def filled(self, request: GenerationRequest) -> list[Any]:
        """Values of `outputs` that ask for this request again, seed included."""
        values = request.model_dump()
        native = next((c.native_size for c in self._checkpoints() if c.name == request.base_model), 1024)
        fitting = (p for p in PRESETS if preset_size(p, native) == (request.width, request.height))
        return [str(values[name]) if name == "seed" else values[name] for name in self.fields] + [
            next(fitting, CUSTOM)
        ]

    def told(self, request: GenerationRequest) -> Any:
        """For the outcome channel: which settings of the request the page has no control for."""
        usual = GenerationRequest(base_model=request.base_model, seed=request.seed).model_dump()
        values = meaningful(request.model_dump(mode="json"))
        left = [name for name in values if name not in self.fields and values[name] != usual[name]]
        if not left:
            return gr.skip()
        names = ", ".join(left).replace("_", " ")
        return outcome(error=f"Left out, since the Studio has no control for it: {names}.")

    def nothing(self) -> list[Any]:
        """Leave every control as it is."""
        return [gr.skip() for _ in self.outputs]

    def _checkpoints(self) -> tuple[Checkpoint, ...]:
        return self.services.registry.checkpoints()

    def choices(self, chosen: str | None) -> Any:
        """The dropdown after the catalog changed: what is chosen stays while it is there."""
        usable = [c.name for c in self.services.registry.checkpoints() if c.unusable is None]
        if chosen not in usable:
            default = self.services.registry.default_checkpoint()
            chosen = default.name if default else None
        return gr.update(choices=usable, value=chosen)

    def defaults(self) -> list[Any]:
        """Values of `settled_by_checkpoint` for a page that was just opened."""
        default = self.services.registry.default_checkpoint()
        return [self.choices(default.name if default else None), *settings_of(default)]

    def choose(self, name: str | None) -> list[Any]:
        """The person chose a checkpoint: its defaults."""
        chosen = next((c for c in self.services.registry.checkpoints() if c.name == name), None)
        return settings_of(chosen)


def settings_of(checkpoint: Checkpoint | None) -> list[Any]:
    """Width, height, steps, CFG, scheduler and size preset that a checkpoint asks for."""
    if checkpoint is None:
        return [1024, 1024, 30, 6.0, DEFAULT_SCHEDULER, "1:1"]
    defaults = checkpoint.defaults
    fitting = (
        p for p in PRESETS if preset_size(p, checkpoint.native_size) == (defaults.width, defaults.height)
    )
    return [
        defaults.width,
        defaults.height,
        defaults.steps,
        defaults.cfg,
        defaults.scheduler,
        next(fitting, CUSTOM),
    ]


def build(services: Services, told: gr.HTML) -> Form:
    """The tab's controls and events."""
    default = services.registry.default_checkpoint()
    width, height, steps, cfg, scheduler, preset_name = settings_of(default)
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="controls"):
            with gr.Column(elem_id="settings"):
                checkpoint = gr.Dropdown(
                    choices=[c.name for c in services.registry.checkpoints() if c.unusable is None],
                    value=default.name if default else None,
                    label="Checkpoint",
                    elem_id="checkpoint",
                )
                prompt = gr.Textbox(
                    label="Prompt",
                    lines=4,
                    max_lines=10,
                    placeholder="What should the picture show?",
                    max_length=MAX_PROMPT,
                    elem_id="prompt",
                    autofocus=True,
                )
                negative = gr.Textbox(
                    label="Negative prompt",
                    lines=1,
                    max_lines=6,
                    placeholder="What it should not show",
                    max_length=MAX_PROMPT,
                    elem_id="negative",
                )
                stack = build_stack(checkpoint)
                preset = gr.Radio([*PRESETS, CUSTOM], value=preset_name, label="Size", elem_id="presets")
                with gr.Row(elem_classes="fields"):
                    width_field = gr.Number(
                        width, label="Width, px", step=SIDE_STEP, elem_id="width", min_width=80
                    )
                    height_field = gr.Number(
                        height, label="Height, px", step=SIDE_STEP, elem_id="height", min_width=80
                    )
                with gr.Row(elem_classes="fields"):
                    steps_field = gr.Number(steps, label="Steps", step=1, elem_id="steps", min_width=60)
                    cfg_field = gr.Number(cfg, label="CFG", step=0.5, elem_id="cfg", min_width=60)
                    scheduler_field = gr.Dropdown(
                        list(SCHEDULERS),
                        value=scheduler,
                        label="Sampler",
                        elem_id="scheduler",
                        min_width=150,
                        scale=3,
                        filterable=False,
                    )
                with gr.Row(elem_classes="fields seed-row"):
                    # Text, since an emptied number field would ask for seed 0 instead of a random one.
                    seed = gr.Textbox(
                        "",
                        label="Seed",
                        placeholder="Random",
                        max_lines=1,
                        elem_id="seed",
                        min_width=120,
                        scale=4,
                    )
                    dice = gr.Button("Random", elem_id="dice", size="sm", min_width=70, scale=1)
                    reuse = gr.Button("Reuse last", elem_id="reuse", size="sm", min_width=90, scale=1)
            with gr.Row(elem_id="dock"):
                batch = gr.Number(1, label="Images", step=1, elem_id="batch", min_width=64, scale=1)
                test = gr.Button("Test", elem_id="test", min_width=70, scale=1)
                generate = gr.Button(
                    "Generate", variant="primary", elem_id="generate", min_width=120, scale=3
                )
        with gr.Column(elem_id="picture"):
            stage = gr.HTML(
                "",
                html_template=asset("stage.html"),
                js_on_load=asset("stage.js"),
                elem_id="stage",
                starter_examples=list(STARTER_EXAMPLES),
                examples=list(EXAMPLES),
            )

    fields = {
        "prompt": prompt,
        "negative_prompt": negative,
        "base_model": checkpoint,
        "width": width_field,
        "height": height_field,
        "steps": steps_field,
        "cfg": cfg_field,
        "scheduler": scheduler_field,
        "seed": seed,
        "num_images": batch,
        "loras": stack,
    }
    form = Form(services, checkpoint, fields, preset)

    def submit(kind: Kind, values: tuple[Any, ...], request: gr.Request) -> str:
        asked = dict(zip(fields, values, strict=True))
        asked["seed"] = asked["seed"].strip() or None
        missing = next((name for name in REQUIRED if asked[name] is None), None)
        try:
            if missing:
                return outcome(error=f"{missing} is empty; give a number.")
            job = services.submit(
                asked if kind == "generate" else asked | {"num_images": 1}, kind, request.username
            )
        except WebbDuckError as error:
            return outcome(error=str(error))
        return outcome(job_id=job.id, warnings=list(job.warnings))

    def submit_batch(request: gr.Request, *values: Any) -> str:
        return submit("generate", values, request)

    def submit_test(request: gr.Request, *values: Any) -> str:
        return submit("test", values, request)

    inputs = list(fields.values())
    generate.click(submit_batch, inputs, told, **PRESS)
    test.click(submit_test, inputs, told, **PRESS)

    checkpoint.input(form.choose, checkpoint, form.settled_by_checkpoint[1:], **QUIET)
    size = [width_field, height_field]
    preset.input(
        None,
        [preset, checkpoint, *size],
        size,
        js="(preset, checkpoint, width, height) => webbduck.sizes.of(preset, checkpoint, width, height)",
        **QUIET,
    )
    for side in size:
        side.input(
            None,
            [checkpoint, *size],
            preset,
            js="(checkpoint, width, height) => webbduck.sizes.preset(checkpoint, width, height)",
            **QUIET,
        )
    dice.click(None, None, seed, js="() => ''", **QUIET)
    reuse.click(None, seed, seed, js="(seed) => String(webbduck.lastSeed ?? seed)", **QUIET)
    _stage_events(services, stage, form, told)
    return form


REQUIRED = ("width", "height", "steps", "cfg", "num_images")
"""Numbers that the form always shows: an emptied field is an oversight, not a wish for the default."""


def _stage_events(services: Services, stage: gr.HTML, form: Form, told: gr.HTML) -> None:
    def use_prompt(event: gr.EventData) -> str:
        return str(payload(event).get("prompt", ""))[:MAX_PROMPT]

    def use_seed(event: gr.EventData) -> Any:
        seed = payload(event).get("seed")
        return str(seed) if isinstance(seed, int) else gr.skip()

    def cancel(event: gr.EventData) -> Any:
        try:
            asked = payload(event)
            services.store.cancel(str(asked.get("job_id", "")), after_image=asked.get("after_image") is True)
        except WebbDuckError as error:
            return outcome(error=str(error))
        return gr.skip()

    stage.use_prompt(use_prompt, None, form.fields["prompt"], **QUIET)
    stage.use_seed(use_seed, None, form.fields["seed"], **QUIET)
    stage.cancel_job(cancel, None, told, **PRESS)
