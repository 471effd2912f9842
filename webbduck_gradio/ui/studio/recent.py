"""The column of recent pictures beside the viewer, on wide screens."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...api import gallery_serializers
from ...api.gradio_helpers import error_as_dict
from ...services import Services
from ..modules import start_view
from ..shared.recorded_picture import recorded_picture
from ..theme import asset

MOST = 60


def view(services: Services) -> gr.HTML:
    """Build the column; recent.js fills it from the gallery's index."""

    def webbduck_recent(_asked: Any = None) -> dict[str, Any]:
        return error_as_dict(
            lambda: gallery_serializers.listing(services, {"flat": True, "start": 0, "limit": MOST})
        )

    def webbduck_recorded(image_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: recorded_picture(services, str(image_id)))

    return gr.HTML(
        "",
        html_template=asset("studio/recent.html"),
        js_on_load=start_view("studio/recent.js"),
        elem_id="recent",
        apply_default_css=False,
        server_functions=[webbduck_recent, webbduck_recorded],
    )
