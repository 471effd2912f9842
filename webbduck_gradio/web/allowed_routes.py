"""Allow-list of routes: the page and the API, and without login only the login page.

Gradio serves more than we use (a proxy to other servers, an editor of the app's code, traces). Any other
route is answered with 404.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..request import MAX_INPUT_BYTES

MEBIBYTE = 2**20
MAX_JSON = 2 * MEBIBYTE
MAX_UPLOAD = MAX_INPUT_BYTES + MEBIBYTE
"""One image plus multipart overhead. The limit is per upload, not per file."""
MAX_LOGIN = 4096


@dataclass(frozen=True)
class Route:
    """`needs_login` applies if a password is set. `max_body`: maximum size of the body in bytes."""

    methods: frozenset[str]
    path: re.Pattern[str]
    needs_login: bool
    max_body: int = 0


def _route(methods: str, path: str, needs_login: bool = True, max_body: int = 0) -> Route:
    return Route(frozenset(methods.split()), re.compile(path, re.DOTALL), needs_login, max_body)


GRADIO = "/gradio_api"

ROUTES = (
    # The login page and its assets, which it shares with the main page.
    _route("GET HEAD", r"/", needs_login=False),
    _route("GET HEAD", r"/(assets|static|svelte)/.*", needs_login=False),
    _route("GET HEAD", r"(/gradio_api)?/theme\.css", needs_login=False),
    _route("GET HEAD", r"/(favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d{1,4})?)", needs_login=False),
    _route("POST", r"/login/?", needs_login=False, max_body=MAX_LOGIN),
    _route("GET POST", r"/logout", needs_login=False, max_body=MAX_LOGIN),
    # Requested by Gradio's launch(); returns true or false.
    _route("GET", rf"{GRADIO}/startup-events", needs_login=False),
    # The page and API clients.
    _route("GET HEAD", r"/media/.*"),
    _route("GET HEAD", r"/modules/[0-9a-f]{16}/[a-z_/]{1,64}\.js"),
    _route("GET HEAD", r"/tags/[0-9a-f]{16}"),
    _route("GET", r"/config/?"),
    _route("GET", rf"{GRADIO}/(info/?|openapi\.json|app_id/?|login_check/?|user/?)"),
    _route("GET", rf"{GRADIO}/heartbeat/[^/]{{1,64}}"),
    _route("GET", rf"{GRADIO}/(queue/data|queue/status|upload_progress)"),
    _route("GET", rf"{GRADIO}/call/(v2/)?[^/]{{1,64}}/[^/]{{1,64}}"),
    _route("GET HEAD", rf"({GRADIO})?/file[=/].*"),
    _route("POST", rf"{GRADIO}/(queue/join|run/predict/?|component_server/?|reset/?)", max_body=MAX_JSON),
    _route("POST", rf"{GRADIO}/call/(v2/)?[^/]{{1,64}}/?", max_body=MAX_JSON),
    _route("POST", rf"{GRADIO}/cancel/?", max_body=MAX_LOGIN),
    _route("POST", rf"{GRADIO}/upload/?", max_body=MAX_UPLOAD),
)


STREAMS = re.compile(rf"{GRADIO}/(heartbeat/.*|queue/data|upload_progress|call/.*)", re.DOTALL)
"""GET requests with long-lived event streams."""

MAX_TICKET = 1024
"""Maximum size in bytes of a call of the job-running endpoint."""


def find(method: str, path: str) -> Route | None:
    """The route of a request, or None."""
    return next((r for r in ROUTES if method in r.methods and r.path.fullmatch(path)), None)
