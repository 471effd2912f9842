"""Everything the studio uses of Gradio outside its documented interface.

Checked against Gradio `VERSION`, which requirements.txt pins. After an update of Gradio, compare this file
with its source, then change the version.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio import http_server, state_holder
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
"""Gradio uses `_frontend` only to abort the start if the page takes more than three seconds to respond."""
SHARED_SCRIPT = re.compile(rb'<script type="module"[^>]*src="https://[^"]*"></script>')
COUNTED_FRAMES = b"""<script>{
    const request = window.requestAnimationFrame.bind(window);
    const counts = (callback) => /performance\\.now\\(\\).*\\/1e3/.test(String(callback));
    window.requestAnimationFrame = (callback) => (counts(callback) ? 0 : request(callback));
}</script>"""
"""Gradio's indicator of loading counts seconds in every frame, and goes on with it for as long as the page is
open if it was removed while something loaded, as at each start of a page. The page shows no such count, so
that the browser is spared these frames."""
LOCAL_PARTS = re.compile(rb'<script type="module"[^>]*></script>|<link rel="stylesheet"[^>]*>')


def event_data(event: gr.EventData) -> dict[str, Any]:
    """The data that a page component sent with its event; {} unless it is an object."""
    return event._data if isinstance(event._data, dict) else {}


def describe_parameter(component: Any, name: str, text: str) -> None:
    """Set the name and description of an endpoint's parameter on the page "Use via API"."""
    assert isinstance(component, Api)
    component.label = name
    component._api_info = {**component._api_info, "additional_description": text}


def current_call() -> str | None:
    """Gradio's event id of the call being served, which its cancel request contains."""
    return LocalContext.event_id.get(None)


def upload_folder() -> Path:
    """The folder in which Gradio stores uploads."""
    return Path(get_upload_folder())


def disable_analytics() -> None:
    """Disable Gradio's call statistics, which reprocess the last ten thousand calls after each call, for a
    page that is not reachable here."""
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**12))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")


class _Session(state_holder.SessionState):
    """A session without a copy of the whole page's configuration, which only deep links need; the studio has
    none. Each HTTP call is a session of its own, and the copy took most of the call's time and memory."""

    def __init__(self, blocks: gr.Blocks):
        # What is missing in the copy is added once it changes; without blocks it begins empty.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))  # type: ignore[arg-type]


def keep_sessions_small() -> None:
    """Make Gradio create no copy of the page's configuration for each session."""
    state_holder.SessionState = _Session  # type: ignore[misc]


def ask_the_queue_less_often(page: gr.Blocks) -> None:
    """Make Gradio's queue look for new events every ten milliseconds instead of every one, which takes 6 % of
    a core for as long as the server runs."""
    page._queue.sleep_when_free = 0.01


def close_tunnels() -> None:
    """End the processes of share links, which would outlive a forced exit."""
    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


@contextmanager
def http_server_replaced(server: type[HttpServer]) -> Iterator[None]:
    """Make `launch` use this server class; it has no parameter for that."""
    before, http_server.Server = http_server.Server, server  # type: ignore[misc]
    try:
        yield
    finally:
        http_server.Server = before  # type: ignore[misc]


def page_served_locally(html: bytes) -> bytes:
    """Gradio's page with local scripts instead of those that a share link loads from Gradio's servers, with
    relative URLs instead of those from /, which are wrong behind a proxy with a path prefix, and without
    `COUNTED_FRAMES`."""
    html = SHARED_SCRIPT.sub(_local_parts().replace(b"\\", b"\\\\"), html)
    html = html.replace(b"<head>", b"<head>" + COUNTED_FRAMES, 1)  # before the scripts that keep the function
    return html.replace(b'rel="manifest" href="/', b'rel="manifest" href="./')


@functools.cache
def _local_parts() -> bytes:
    """The script and style tags of Gradio's local page."""
    page = Path(gr.__file__).parent / "templates" / "frontend" / "index.html"
    return b"\n".join(LOCAL_PARTS.findall(page.read_bytes()))


class Page(gr.Blocks):
    """Blocks whose page leaves out the endpoints' parameters and answers, which it does not show. They are
    most of its components, and the page's scripts walk through all of them for each value that they read."""

    def get_config_file(self) -> Any:
        config = super().get_config_file()
        unseen = {number for number, block in self.blocks.items() if isinstance(block, Api)}
        for page in config["page"].values():
            page["components"] = [each for each in page["components"] if each not in unseen]
            layout: Any = page["layout"]
            layout["children"] = [each for each in layout["children"] if each["id"] not in unseen]
        return config
