"""The Studio's input picture, its mask, and the settings of both."""

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
from ..shared.upscaling import submit_upscaling, upscale_choices
from ..theme import asset
from .controls import build_group

STYLE_NAMES = {
    "detailed": "Detailed",
    "short": "One sentence",
    "sd_prompt": "Prompt",
    "midjourney": "Midjourney prompt",
    "booru": "Booru tags",
}


def build(services: Services, fields: dict[str, Any], outcome: gr.HTML) -> None:
    """Build the group's controls; studio/form.js shows those that apply to the current settings.

    `outcome` is the channel that gets the result of a caption request.
    """

    def webbduck_store(value: Any) -> dict[str, Any]:
        """Store an upload or a gallery picture as an input: {id, width, height} or {error}."""
        return error_as_dict(lambda: stored(services, value))

    def webbduck_size(file_id: Any) -> dict[str, Any]:
        """Size of a stored input in pixels after EXIF rotation: {id, width, height} or {error}."""
        return error_as_dict(lambda: size_of(services, str(file_id)))

    def caption(event: gr.EventData, request: gr.Request) -> str:
        asked = event_data(event)
        try:
            wanted = {"image": asked.get("image"), "style": asked.get("style")}
            job = services.submit(wanted, "caption", request.username)
        except WebbDuckError as error:
            return notification(where="input", error=str(error))
        return notification(where="input", caption=job.id)

    def upscale(event: gr.EventData, request: gr.Request) -> str:
        asked = event_data(event)
        try:
            job = submit_upscaling(services, asked.get("image"), asked, request.username)
        except WebbDuckError as error:
            return notification(where="input", error=str(error))
        return notification(where="input", upscaling=job.id, notes=list(job.warnings))

    def cancel_upscale(event: gr.EventData) -> Any:
        try:
            services.store.cancel(str(event_data(event).get("job_id", "")))
        except WebbDuckError as error:
            return notification(where="input", error=str(error))
        return gr.skip()

    view = gr.HTML(
        "",
        html_template=asset("studio/image_input.html"),
        js_on_load=start_view("studio/image_input.js", "caption", "upscale", "cancel_upscale"),
        elem_id="image-input",
        apply_default_css=False,
        styles=[[style, STYLE_NAMES.get(style, style)] for style in STYLES],
        server_functions=[webbduck_store, webbduck_size, upscale_choices(services)],
    )
    view.caption(caption, None, outcome, **USER_ACTION)
    view.upscale(upscale, None, outcome, **USER_ACTION)
    view.cancel_upscale(cancel_upscale, None, outcome, **USER_ACTION)
    build_group(fields, "image")


def stored(services: Services, value: Any) -> dict[str, Any]:
    """Store the file that `value` refers to (see `api.client_files`). Raises `WebbDuckError`."""
    return size_of(services, services.inputs.store(client_file(services, value)))


def size_of(services: Services, file_id: str) -> dict[str, Any]:
    """{id, width, height}: size in pixels after EXIF rotation. Raises `NotFoundError`, `StorageError`."""
    with open_picture(services.inputs.path(file_id), "The picture") as image:
        width, height = upright_size(image)
    return {"id": file_id, "width": width, "height": height}
