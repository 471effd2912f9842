"""The LoRAs tab: the catalog of LoRAs and checkpoints, and editing of their notes and defaults."""

from __future__ import annotations

from collections import deque
from typing import Any

import gradio as gr

from ...api import serializers
from ...api.gradio_helpers import BACKGROUND_EVENT, error_as_dict, notification
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...models.catalog import edit_schemas
from ...models.catalog.config_file import EditConflictError
from ...models.catalog.defaults import DEFAULT_FIELDS
from ...models.probe import pool
from ...request import SETTINGS
from ...request.samplers import joined_name
from ...services import Services
from ..modules import start_view
from ..studio.form import number_of
from ..tab import PageParts, Tab
from ..theme import asset
from . import conversions, model_folders


def build(parts: PageParts) -> None:
    """Build the tab's view, which renders the catalog channel and fetches details itself."""
    services, form, channels = parts.services, parts.form, parts.channels
    registry = services.registry
    replaced: dict[tuple[str, str], deque[Any]] = {}
    """Recently overwritten values by (LoRA, key)."""

    def webbduck_lora(name: Any) -> dict[str, Any]:
        return error_as_dict(lambda: lora_details(services, str(name)))

    def webbduck_edit_lora(asked: Any) -> dict[str, Any]:
        def edit() -> dict[str, Any]:
            name, changes, seen = _named(asked)
            if changes.get("preview") == "last":
                changes = {**changes, "preview": services.lora_previews.last(name)}
            before = registry.lora_note(name)
            # A client that omits `seen` and sends a value that an edit has overwritten did not see that edit.
            unseen = {key: value for key, value in changes.items() if value in replaced.get((name, key), ())}
            try:
                registry.edit_lora(name, changes, {**unseen, **seen})
            except EditConflictError as error:
                return {"error": str(error), **lora_details(services, name)}
            for key in changes:
                if key in edit_schemas.WORDS and before.get(key) != registry.lora_note(name).get(key):
                    replaced.setdefault((name, key), deque(maxlen=8)).append(before.get(key))
            return lora_details(services, name)

        return error_as_dict(edit)

    def webbduck_edit_checkpoint(asked: Any) -> dict[str, Any]:
        def edit() -> dict[str, Any]:
            registry.edit_checkpoint(*_named(asked))
            return {}

        return error_as_dict(edit)

    view = gr.HTML(
        "",
        html_template=asset("loras/loras.html"),
        js_on_load=start_view("loras/loras.js", "use_current"),
        elem_id="loras-view",
        server_functions=[
            *(webbduck_lora, webbduck_edit_lora, webbduck_edit_checkpoint),
            model_folders.server_function(services),
            *conversions.server_functions(services),
        ],
    )

    def use_current(event: gr.EventData, *values: Any) -> str:
        name = str(event_data(event).get("name", ""))
        try:
            noted = dict(zip(DEFAULT_FIELDS, values, strict=True))
            both = joined_name(noted.pop("sampler"), noted.pop("schedule"))
            read = {
                key: number_of(key, value) if SETTINGS[key].is_number else value
                for key, value in noted.items()
            }
            registry.edit_checkpoint(name, read | {"scheduler": both})
        except WebbDuckError as error:
            return notification(error=str(error), where="loras")
        return notification(message=f"The Studio's settings are now the defaults of {name}.", where="loras")

    view.use_current(
        use_current, [form.fields[name] for name in DEFAULT_FIELDS], channels["outcome"], **BACKGROUND_EVENT
    )


def _named(asked: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(model, changes, the values that the page showed before) of an edit. Raises `RequestError`."""
    seen = asked.get("seen", {}) if isinstance(asked, dict) else None
    if not isinstance(seen, dict) or not isinstance(asked.get("changes"), dict):
        raise RequestError("The page sent an invalid request (loras).")
    return str(asked.get("name", "")), asked["changes"], seen


def lora_details(services: Services, name: str) -> dict[str, Any]:
    """{lora: as in the list, note: its entry in loras.json, said: its file's metadata, pictures: ids}.

    `said` is None if the file cannot be read. Raises `NotFoundError`.
    """
    lora = services.registry.any_lora(name)
    said = pool.training_metadata_of(lora.path)
    view, note = serializers.lora_view(lora, None), services.registry.lora_note(name)
    return {
        "lora": {**view, "description": lora.description},
        "note": {key: note[key] for key in edit_schemas.SHOWN if key in note},
        "said": said,
        "pictures": services.lora_previews.made_with(name),
    }


STYLES = ("loras.css", "embeddings.css", "model_folders.css", "conversions.css")
TAB = Tab("LoRAs", tuple(f"loras/{each}" for each in STYLES), build)
