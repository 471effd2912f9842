"""The Studio's viewer: the current job, actions on its pictures, and the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ...api import gallery_serializers, serializers
from ...api.answers import DeletionAnswer
from ...api.gradio_helpers import BACKGROUND_EVENT, USER_ACTION, error_as_dict, notification
from ...api.gradio_internals import event_data
from ...errors import RequestError, WebbDuckError
from ...jobs.job import Job
from ...services import DeviceSettings, Services
from ..modules import start_view
from ..shared.hires import submit_hires
from ..shared.upscaling import submit_upscaling, upscale_choices
from ..theme import asset
from .examples import EXAMPLES, starter_examples
from .form import Form


def view(services: Services) -> gr.HTML:
    """Build the viewer; it renders what the page's channels publish."""

    def webbduck_about(image_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"favourite": str(image_id) in services.outputs.favourites})

    def webbduck_copies(run: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"copies": gallery_serializers.copies_in(services, str(run))})

    def webbduck_favour(asked: Any) -> dict[str, Any]:
        def mark() -> dict[str, Any]:
            services.outputs.favourite(str(asked.get("id")), favourite=asked.get("favourite") is True)
            return {}

        return error_as_dict(mark)

    def webbduck_remove(image_id: Any) -> dict[str, Any]:
        def remove() -> DeletionAnswer:
            ids = gallery_serializers.with_copies(services, [str(image_id)])
            reason = gallery_serializers.needed(services, ids)
            if reason:
                raise RequestError(reason)
            return serializers.trash_view(services.trash.delete_images(ids))

        return error_as_dict(remove)

    def webbduck_bring_back(entry_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"images": list(services.trash.restore(entry_id))})

    def webbduck_free_memory(_asked: Any = None) -> dict[str, Any]:
        return error_as_dict(services.free_memory)  # the page always sends one value

    def webbduck_device(asked: Any) -> dict[str, Any]:
        def change() -> DeviceSettings:
            services.choose_device(asked.get("memory", ""), asked.get("compiled"))
            return services.device_settings()

        return error_as_dict(change)

    device = services.device_settings()

    return gr.HTML(
        "",
        html_template=asset("studio/viewer.html"),
        js_on_load=start_view(
            "studio/viewer.js",
            "use_image",
            "cancel_job",
            "suspend_job",
            "continue_job",
            "retry_job",
            "resume_queue",
            "upscale",
            "hires",
        ),
        elem_id="stage",
        apply_default_css=False,
        starter_examples=starter_examples(),
        examples=[{"prompt": each} for each in EXAMPLES],
        policies=device["policies"],
        started_with=device["started_with"],
        server_functions=[
            webbduck_about,
            webbduck_copies,
            upscale_choices(services),
            webbduck_favour,
            webbduck_remove,
            webbduck_bring_back,
            webbduck_free_memory,
            webbduck_device,
        ],
    )


def wire(services: Services, stage: gr.HTML, form: Form, outcome: gr.HTML) -> None:
    """Connect the events of `view`; called once the form has all its controls."""

    def cancel(event: gr.EventData) -> Any:
        try:
            asked = event_data(event)
            services.store.cancel(str(asked.get("job_id", "")), after_image=asked.get("after_image") is True)
        except WebbDuckError as error:
            return notification(error=str(error))
        return gr.skip()

    def steer(operation: Callable[[str], Job]) -> Callable[[gr.EventData], Any]:
        def act(event: gr.EventData) -> Any:
            try:
                operation(str(event_data(event).get("job_id", "")))
            except WebbDuckError as error:
                return notification(error=str(error))
            return gr.skip()

        return act

    def retry(event: gr.EventData, request: gr.Request) -> str:
        try:
            job = services.retry(str(event_data(event).get("job_id", "")), request.username)
        except WebbDuckError as error:
            return notification(error=str(error))
        return notification(job_id=job.id)

    def resume() -> Any:
        try:
            services.store.resume()
        except WebbDuckError as error:
            return notification(error=str(error))
        return gr.skip()

    def use_image(event: gr.EventData) -> Any:
        asked = event_data(event)
        try:
            filled = form.use_image(str(asked.get("id", "")), str(asked.get("purpose", "")))
        except WebbDuckError as error:
            return [notification(error=str(error)), *form.nothing()]
        return [notification(done="Input picture"), *filled]

    def upscale(event: gr.EventData, request: gr.Request) -> Any:
        asked = event_data(event)
        try:
            job = submit_upscaling(services, asked.get("id"), asked, request.username)
        except WebbDuckError as error:
            return notification(error=str(error))
        return notification(upscale=job.id, notes=list(job.warnings))

    def hires(event: gr.EventData, request: gr.Request) -> Any:
        asked = event_data(event)
        try:
            job, notes = submit_hires(
                services, str(asked.get("id", "")), asked.get("settings") or {}, request.username
            )
        except WebbDuckError as error:
            return notification(error=str(error))
        return notification(job_id=job.id, notes=notes, warnings=list(job.warnings))

    stage.cancel_job(cancel, None, outcome, **USER_ACTION)
    stage.suspend_job(steer(services.store.suspend), None, outcome, **USER_ACTION)
    stage.continue_job(steer(services.store.continue_job), None, outcome, **USER_ACTION)
    stage.retry_job(retry, None, outcome, **USER_ACTION)
    stage.resume_queue(resume, None, outcome, **USER_ACTION)
    stage.use_image(use_image, None, [outcome, *form.outputs], **BACKGROUND_EVENT)
    stage.upscale(upscale, None, outcome, **USER_ACTION)
    stage.hires(hires, None, outcome, **USER_ACTION)
