"""The Gallery tab.

Its scripts fetch pages and details and delete pictures through server functions (`server.*`). What affects
other tabs or submits a job is an event.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from ...api import gallery_serializers as views
from ...api.client_files import media_url
from ...api.gradio_helpers import BACKGROUND_EVENT, error_as_dict, notification
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...gallery.export import export
from ...gallery.metadata.recall import read_settings
from ...jobs.job import Job
from ...request import GenerationRequest
from ...services import Services
from ..modules import start_view
from ..shared.hires import submit_hires
from ..shared.recorded_picture import recorded_picture
from ..shared.upscaling import upscale_choices
from ..studio.form import Form
from ..tab import PageParts, Tab
from ..theme import asset

FILLED = {"prompt": "Prompts of the picture", "text": "Caption of the picture"}
"""What the page says was loaded, for what was asked for."""


def build(parts: PageParts) -> None:
    """Build the tab's view and its events."""
    services, form, channels, tabs = parts.services, parts.form, parts.channels, parts.tabs
    view = gr.HTML(
        "",
        html_template=asset("gallery/gallery.html"),
        js_on_load=start_view("gallery/gallery.js", "reuse", "send", "make"),
        elem_id="gallery-view",
        server_functions=served(services),
    )

    def reuse(event: gr.EventData) -> Any:
        """Load a picture's settings into the Studio: all of them, or only the prompts."""
        asked = event_data(event)
        try:
            values, notes = settings_of(services, asked)
            picture = recorded_picture(services, str(asked.get("id", "")))
        except WebbDuckError as error:
            return [notification(error=str(error), where="gallery"), gr.skip(), *form.nothing()]
        notes += missing_controls(form, values)
        done = FILLED.get(str(asked.get("what")), "Settings of the picture")
        outcome = notification(done=done, notes=notes, picture=picture)
        return [outcome, gr.Tabs(selected="studio"), *form.partly(values)]

    def send(event: gr.EventData) -> Any:
        """Use a picture as the Studio's input picture."""
        asked = event_data(event)
        purpose = "inpaint" if asked.get("purpose") == "inpaint" else "img2img"
        try:
            filled = form.use_image(str(asked.get("id", "")), purpose)
        except WebbDuckError as error:
            return [notification(error=str(error), where="gallery"), gr.skip(), *form.nothing()]
        return [notification(done="Input picture"), gr.Tabs(selected="studio"), *filled]

    def make(event: gr.EventData, request: gr.Request) -> str:
        """Submit a job for a picture: regenerate, vary, upscale, hires pass or caption."""
        asked = event_data(event)
        try:
            job, notes = submit(services, asked, request.username)
        except WebbDuckError as error:
            return notification(error=str(error), where="gallery")
        # The Studio follows generated pictures; upscaled images and captions appear beside their picture.
        elsewhere = {} if job.kind == "generate" else {"where": "gallery"}
        return notification(
            job_id=job.id, warnings=[*notes, *job.warnings], what=asked.get("what"), **elsewhere
        )

    into_form = [channels["outcome"], tabs, *form.outputs]
    view.reuse(reuse, None, into_form, **BACKGROUND_EVENT)
    view.send(send, None, into_form, **BACKGROUND_EVENT)
    view.make(make, None, channels["outcome"], **BACKGROUND_EVENT)


def missing_controls(form: Form, values: dict[str, Any]) -> list[str]:
    """A note about non-default settings that the Studio has no control for, if there are any."""
    usual = GenerationRequest(base_model="any", seed=0).model_dump(mode="json")
    missing = [name for name, value in values.items() if name not in form.fields and value != usual[name]]
    names = ", ".join(missing).replace("_", " ")
    return [f"Ignored, because the Studio has no control for it: {names}."] if missing else []


def settings_of(services: Services, asked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values for the form, and notes about settings that could not be used.

    `asked` is {id, what}: what is "all", "prompt", or "text" with the prompt in `text`. Raises `RequestError`
    if the picture has no settings.
    """
    if asked.get("what") == "text":
        return {"prompt": str(asked.get("text", ""))}, []
    path = services.outputs.resolve(str(asked.get("id", "")))
    values, notes = read_settings(path, services.registry, services.inputs, services.worker.describe())
    if not values:
        raise RequestError(" ".join(notes))
    if asked.get("what") == "prompt":
        return {key: values[key] for key in ("prompt", "negative_prompt", "prompt_2") if key in values}, []
    return values, notes


def submit(services: Services, asked: dict[str, Any], owner: str | None) -> tuple[Job, list[str]]:
    """Submit a job: `asked` is {id, what}, with what "again", "vary", "caption", "upscale" (then also
    `scale` and `upscaler`) or "hires" (then also `settings`, as `submit_hires` takes them).

    Returns the job and notes about settings that could not be used. Raises `WebbDuckError`.
    """
    image_id, what = str(asked.get("id", "")), asked.get("what")
    path = services.outputs.resolve(image_id)
    if what == "upscale":
        wanted = {"image": image_id, "scale": asked.get("scale", 2), "upscaler": asked.get("upscaler")}
        return services.submit(wanted, "upscale", owner), []
    if what == "caption":
        return services.submit({"image": image_id}, "caption", owner), []
    if what == "hires":
        return submit_hires(services, image_id, asked.get("settings") or {}, owner)
    if what not in ("again", "vary"):
        raise RequestError(f"There is no action {json.dumps(what)[:40]}.")
    values, notes = read_settings(path, services.registry, services.inputs, services.worker.describe())
    if not values:
        raise RequestError(" ".join(notes))
    if what == "again" and values.get("seed") is None:
        raise RequestError(
            "The picture's metadata has no seed, so it cannot be regenerated; use Vary instead."
        )
    if what == "vary":
        values["seed"] = None
    missing = [name for name in ("base_model",) if name not in values]
    if missing and what == "again":
        raise RequestError(" ".join(notes) or "The picture's metadata names no checkpoint.")
    return services.submit(values, "generate", owner), notes


def served(services: Services) -> list[Callable[..., Any]]:
    """The server functions of the view; each returns a dict, with `error` if it failed."""
    outputs, trash = services.outputs, services.trash

    def webbduck_list(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: views.listing(services, asked))

    def webbduck_layout(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: views.layout(services, asked))

    def webbduck_choices(_asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"names": outputs.names()})

    def webbduck_ids(asked: Any) -> dict[str, Any]:
        def ids() -> dict[str, Any]:
            query, order = views.query_of(asked)
            start, limit = views.span_of(asked, views.MAX_CHOSEN)
            return {"ids": [image.id for image in outputs.images(start, limit, query, order)]}

        return error_as_dict(ids)

    def webbduck_image(image_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: views.picture(services, image_id))

    def webbduck_delete(asked: Any) -> dict[str, Any]:
        def delete() -> dict[str, Any]:
            run = asked.get("run") if isinstance(asked, dict) else None
            if isinstance(run, str):
                ids = outputs.images_of(run)
            else:
                ids = views.ids_of(asked.get("ids") if isinstance(asked, dict) else asked)
                if isinstance(asked, dict) and asked.get("copies"):
                    ids = views.with_copies(services, ids)
            views.refuse_needed(services, ids)
            return views.entry_view(trash.delete_images(ids))

        return error_as_dict(delete)

    def webbduck_restore(entry_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"images": list(trash.restore(entry_id))})

    def webbduck_trash(_asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: views.trash(services))

    def webbduck_empty(_asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"emptied": trash.empty()})

    def webbduck_favourite(asked: Any) -> dict[str, Any]:
        def mark() -> dict[str, Any]:
            page = asked if isinstance(asked, dict) else {}
            ids = views.ids_of(page.get("ids"))
            outputs.favourite(*ids, favourite=bool(page.get("on")))
            return {"ids": ids}

        return error_as_dict(mark)

    def webbduck_export(asked: Any) -> dict[str, Any]:
        def pack() -> dict[str, Any]:
            ids = views.with_copies(services, views.ids_of(asked))
            file = export(outputs, services.settings, ids)
            return {
                "url": media_url("export", file.name),
                "count": len(ids),
                "size_bytes": file.stat().st_size,
            }

        return error_as_dict(pack)

    return [
        webbduck_list,
        webbduck_layout,
        webbduck_choices,
        webbduck_ids,
        webbduck_image,
        webbduck_delete,
        webbduck_restore,
        webbduck_trash,
        webbduck_empty,
        webbduck_favourite,
        webbduck_export,
        upscale_choices(services),
    ]


TAB = Tab("Gallery", ("gallery/gallery.css", "gallery/lightbox.css"), build)
