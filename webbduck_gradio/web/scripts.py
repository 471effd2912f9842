"""The page's ES modules, below /modules/DIGEST/. Only files that were there at the start have a name here."""

from __future__ import annotations

from starlette.responses import Response

from ..ui.modules import digest, modules
from .responses import error_response

PREFIX = "/modules/"
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}


def script_response(path: str) -> Response:
    """The module at this path. There is none of another version: a page with two of them would break."""
    version, _, name = path.removeprefix(PREFIX).partition("/")
    content = modules().get(name) if version == digest() else None
    if content is None:
        return error_response("There is no such script; reload the page.", 404)
    return Response(content, media_type="text/javascript", headers=FOREVER)
