"""Many pictures by img2img from the page: each is stored and asked for, and the script queues its job."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...api.client_files import client_file
from ...api.folder import Source, existing
from ...api.gradio_helpers import error_as_dict
from ...errors import RequestError
from ...services import Services
from ..modules import start_view
from .form import Form, may_be


def build(services: Services, form: Form) -> None:
    """Build the panel, which is empty until several pictures are chosen."""

    def webbduck_folder(asked: Any) -> dict[str, Any]:
        """Store one picture: {id, existing: id of the picture that was made from it with these values of the
        form, or None} or {error}."""
        return error_as_dict(lambda: _stored(services, form, asked))

    def webbduck_cancel_folder(ids: Any) -> dict[str, Any]:
        """Cancel what is left of these jobs."""

        def cancel() -> dict[str, Any]:
            open_ = {job.id for job in services.store.queued()}
            if running := services.store.running():
                open_.add(running.id)
            for job_id in ids if isinstance(ids, list) else ():
                if job_id in open_:
                    services.store.cancel(job_id)
            return {}

        return error_as_dict(cancel)

    gr.HTML(
        "",
        html_template='<section class="folder-batch" aria-label="Many pictures" hidden></section>',
        js_on_load=start_view("studio/folder_batch.js"),
        elem_id="folder-batch",
        apply_default_css=False,
        server_functions=[webbduck_folder, webbduck_cancel_folder],
    )


def _stored(services: Services, form: Form, asked: Any) -> dict[str, Any]:
    values = asked.get("values") if isinstance(asked, dict) else None
    if not isinstance(values, dict) or not all(
        name in values and may_be(name, values[name]) for name in form.fields
    ):
        raise RequestError("The page sent an invalid request (many pictures).")
    name = str(asked.get("name", ""))
    file_id = services.inputs.store(client_file(services, asked), name)
    values = {**values, "image": file_id, "mask": ""}
    source = Source(file_id, name)
    settings = form.to_request(tuple(values[each] for each in form.fields))
    _, there = existing(services, [source], settings)
    return {"id": file_id, "existing": there.get(source)}
