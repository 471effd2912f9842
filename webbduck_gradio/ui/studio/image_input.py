"""The input picture of the Studio, its mask, and how both are used."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...api.client_files import client_file
from ...api.gradio_helpers import USER_ACTION, error_as_dict, notification
from ...api.gradio_internals import event_data
from ...errors import WebbDuckError
from ...models.captioners import STYLES
from ...services import Services
from ...storage.images import open_picture, upright_size
from ..modules import start_view
from ..theme import asset
from .controls import build_group

STYLE_NAMES = {
    "detailed": "In detail",
    "short": "In one sentence",
    "sd_prompt": "As a prompt",
    "midjourney": "As a Midjourney prompt",
    "booru": "As booru tags",
}


def build(services: Services, fields: dict[str, Any], told: gr.HTML) -> None:
    """The group's controls; studio/form.js shows the ones that mean something for what is chosen."""

    def webbduck_store(value: Any) -> dict[str, Any]:
        """Keep an upload, or a picture of the gallery, as an input: {id, width, height} or {error}."""
        return error_as_dict(lambda: stored(services, value))

    def webbduck_size(file_id: Any) -> dict[str, Any]:
        """Width and height of a stored input as people see it (upright)."""
        return error_as_dict(lambda: described(services, str(file_id)))

    def caption(event: gr.EventData, request: gr.Request) -> str:
        asked = event_data(event)
        try:
            wanted = {"image": asked.get("image"), "style": asked.get("style")}
            job = services.submit(wanted, "caption", request.username)
        except WebbDuckError as error:
            return notification(where="input", error=str(error))
        return notification(where="input", caption=job.id)

    view = gr.HTML(
        "",
        html_template=asset("studio/image_input.html"),
        js_on_load=start_view("studio/image_input.js", "caption"),
        elem_id="image-input",
        apply_default_css=False,
        styles=[[style, STYLE_NAMES.get(style, style)] for style in STYLES],
        server_functions=[webbduck_store, webbduck_size],
    )
    view.caption(caption, None, told, **USER_ACTION)
    build_group(fields, "image")


def stored(services: Services, value: Any) -> dict[str, Any]:
    """Store what a client means by `value` (see `api.client_files`). Raises `WebbDuckError`."""
    return described(services, services.inputs.store(client_file(services, value)))


def described(services: Services, file_id: str) -> dict[str, Any]:
    """Id and upright size in pixels. Raises `NotFoundError`, `StorageError`."""
    with open_picture(services.inputs.path(file_id), "The picture") as image:
        width, height = upright_size(image)
    return {"id": file_id, "width": width, "height": height}
