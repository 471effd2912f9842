"""All that the studio uses of Gradio outside its documented interface.

Each piece is as it is in Gradio `VERSION`, which requirements.txt pins; after an update of Gradio, read this
file against its source and change the version.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import http_server
from gradio.components.api_component import Api
from gradio.context import LocalContext
from gradio.exceptions import ServerFailedToStartError
from gradio.tunneling import CURRENT_TUNNELS
from gradio.utils import get_upload_folder

__all__ = ["HttpServer", "ServerFailedToStartError"]

VERSION = "6.31.0"
HttpServer = http_server.Server
"""The uvicorn server that `launch` starts in a thread."""
LAUNCH_OPTIONS: dict[str, Any] = {"_frontend": False}
"""The one use of `_frontend`: to refuse to start where the page takes three seconds to answer."""
SHARED_SCRIPT = re.compile(rb'<script type="module"[^>]*src="https://[^"]*"></script>')
LOCAL_PARTS = re.compile(rb'<script type="module"[^>]*></script>|<link rel="stylesheet"[^>]*>')


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What a view sent along with its event; anything but a table of values counts as nothing."""
    return event._data if isinstance(event._data, dict) else {}


def describe_parameter(component: Any, name: str, text: str) -> None:
    """Name and words of an endpoint's parameter, for the page "Use via API"."""
    assert isinstance(component, Api)
    component.label = name
    component._api_info = {**component._api_info, "additional_description": text}


def current_call() -> str | None:
    """Gradio's name of the call that is being served; its own cancel names this."""
    return LocalContext.event_id.get(None)


def upload_folder() -> Path:
    """The folder in which Gradio stores what clients upload."""
    return Path(get_upload_folder())


def disable_analytics() -> None:
    """Disable Gradio's analytics, which after each call process the last ten thousand calls for a page that
    is not reachable here."""
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**12))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")


def close_tunnels() -> None:
    """End the processes of share links, which would outlive a forced exit."""
    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


@contextmanager
def http_server_replaced(server: type[HttpServer]) -> Iterator[None]:
    """Make `launch` use this class, for which it has no parameter."""
    before, http_server.Server = http_server.Server, server  # type: ignore[misc]
    try:
        yield
    finally:
        http_server.Server = before  # type: ignore[misc]


def page_served_locally(html: bytes) -> bytes:
    """Gradio's page with its own scripts in the place of those that a share link takes from Gradio's servers,
    and without addresses that start at /, which is not ours behind a proxy with a path prefix."""
    html = SHARED_SCRIPT.sub(_local_parts().replace(b"\\", b"\\\\"), html)
    return html.replace(b'rel="manifest" href="/', b'rel="manifest" href="./')


@functools.cache
def _local_parts() -> bytes:
    """The script and style tags of Gradio's page for local use."""
    page = Path(gr.__file__).parent / "templates" / "frontend" / "index.html"
    return b"\n".join(LOCAL_PARTS.findall(page.read_bytes()))
