"""The settings menu: presets, reset, settings from a picture or a text, and undo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ...api.client_files import client_file
from ...api.gradio_helpers import BACKGROUND_EVENT, error_as_dict, notification
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...gallery.metadata.recall import read_settings, read_text
from ...models.catalog.lookup import find
from ...models.catalog.registry import Checkpoint, Lora, Registry
from ...models.vaes import Vae
from ...request import MAX_PROMPT, GenerationRequest
from ...services import Services
from ..modules import start_view
from ..theme import asset
from .form import Form, settings_of
from .lora_stack import renamed
from .preset_store import PresetStore

LONGEST_TEXT = 4 * MAX_PROMPT
"""Limit of a pasted `parameters` text, in characters."""

MODELS = ("base_model", "second_pass_model")


def view(services: Services, presets: PresetStore) -> gr.HTML:
    """Build the menu beside the checkpoint."""

    def webbduck_presets(_: Any) -> dict[str, Any]:
        return error_as_dict(presets.content)

    def webbduck_keep_preset(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: presets.keep_preset(asked.get("name"), asked.get("settings")))

    def webbduck_drop_preset(name: Any) -> dict[str, Any]:
        return error_as_dict(lambda: presets.drop_preset(name))

    return gr.HTML(
        "",
        html_template=asset("studio/settings_menu.html"),
        js_on_load=start_view(
            "studio/settings_menu.js",
            "apply_preset",
            "use_defaults",
            "use_settings",
            "reset",
            "restore",
            "paste_parameters",
            "read_picture",
        ),
        elem_id="settings-menu",
        apply_default_css=False,
        min_width=96,
        scale=0,
        server_functions=[webbduck_presets, webbduck_keep_preset, webbduck_drop_preset],
    )


def installed(registry: Registry, kept: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A preset's settings with its models under their current names (`models.catalog.lookup`), without
    missing ones, and a note for each that is missing or was renamed."""
    values, notes = dict(kept), []

    def name_of(name: str, models: Sequence[Checkpoint | Lora | Vae]) -> str | None:
        found = find(name, models).model
        if found and found.name != name:
            notes.append(f"{name} is now called {found.name}.")
        return found.name if found else None

    usable = [each for each in registry.checkpoints() if not each.unusable]
    for key, models in zip(MODELS, (usable, registry.second_pass_models()), strict=True):
        name = values.get(key)
        if not isinstance(name, str) or not name:
            continue
        values[key] = name_of(name, models)
        if values[key] is None:
            del values[key]
            notes.append(f"{name} is no longer available; the selected model is kept.")
    if values.get("vae"):
        values["vae"] = name_of(str(values["vae"]), [each for each in registry.vaes() if not each.unusable])
        if values["vae"] is None:
            del values["vae"]
            notes.append("Its VAE is no longer available; the selected one is kept.")
    # The stack reports missing LoRAs itself.
    values["loras"] = renamed(values.get("loras"), lambda name: name_of(name, registry.loras()) or name)
    return values, notes


def wire(services: Services, menu: gr.HTML, presets: PresetStore, form: Form, outcome: gr.HTML) -> None:
    """Connect the events of `view`; called once the form has all its controls. `outcome`: see
    `notification`."""
    registry = services.registry

    def filled(values: dict[str, Any], what: str, notes: list[str]) -> list[Any]:
        return [notification(done=what, notes=notes), *form.partly(values)]

    def refused(error: WebbDuckError) -> list[Any]:
        return [notification(error=str(error)), *form.nothing()]

    def preset(event: gr.EventData) -> list[Any]:
        name = event_data(event).get("name")
        try:
            kept = presets.preset(name)
        except WebbDuckError as error:
            return refused(error)
        kept, notes = installed(registry, kept)
        return filled(form.recall(kept), f"Preset {name}", notes)

    def reset(event: gr.EventData) -> list[Any]:
        """The initial value of every setting except the checkpoint."""
        chosen = event_data(event).get("base_model")
        checkpoint = next((c for c in registry.checkpoints() if c.name == chosen), None)
        fields = GenerationRequest.model_fields
        usual = {name: fields[name].default for name in form.fields if name in fields}
        usual |= {"seed": None, "loras": []} | settings_of(checkpoint)
        usual.pop("base_model", None)
        return filled({key: usual[key] for key in usual if key in form.fields}, "Reset", [])

    def defaults(event: gr.EventData) -> list[Any]:
        """A checkpoint's own size, steps, CFG and sampler."""
        name = event_data(event).get("base_model")
        checkpoint = next((c for c in registry.checkpoints() if c.name == name), None)
        if checkpoint is None:
            return [notification(error="This checkpoint is no longer available."), *form.nothing()]
        return filled(dict(settings_of(checkpoint)), f"Defaults of {checkpoint.name}", [])

    def filled_from(path: Path) -> list[Any]:
        values, notes = read_settings(path, registry, services.inputs, services.worker.describe())
        if not values:
            return [notification(error=" ".join(notes)), *form.nothing()]
        return filled(values, "Settings of the picture", notes)

    def use_settings(event: gr.EventData) -> list[Any]:
        """All settings of a gallery picture, seed included."""
        try:
            return filled_from(services.outputs.resolve(str(event_data(event).get("id", ""))))
        except WebbDuckError as error:
            return refused(error)

    def restore(event: gr.EventData) -> list[Any]:
        """Undo: the form's values from before one of the other events."""
        return form.partly(form.recall(event_data(event).get("values")))

    def paste(event: gr.EventData) -> list[Any]:
        text = str(event_data(event).get("text", ""))
        if len(text) > LONGEST_TEXT:
            return refused(
                RequestError(f"The pasted text has {len(text):,} of at most {LONGEST_TEXT:,} characters.")
            )
        values, notes = read_text(text, registry, services.inputs)
        return filled(values, "Settings of the pasted text", notes)

    def read_picture(event: gr.EventData) -> list[Any]:
        try:
            return filled_from(client_file(services, event_data(event).get("file")))
        except WebbDuckError as error:
            return refused(error)

    outputs = [outcome, *form.outputs]
    menu.apply_preset(preset, None, outputs, **BACKGROUND_EVENT)
    menu.use_defaults(defaults, None, outputs, **BACKGROUND_EVENT)
    menu.use_settings(use_settings, None, outputs, **BACKGROUND_EVENT)
    menu.reset(reset, None, outputs, **BACKGROUND_EVENT)
    menu.restore(restore, None, form.outputs, **BACKGROUND_EVENT)
    menu.paste_parameters(paste, None, outputs, **BACKGROUND_EVENT)
    menu.read_picture(read_picture, None, outputs, **BACKGROUND_EVENT)
