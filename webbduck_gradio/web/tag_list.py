"""The tags that the page completes, as one text at /tags/VERSION, compressed where the browser takes it."""

from __future__ import annotations

import anyio.to_thread
from starlette.responses import Response

from ..models.tags import TagLibrary
from .responses import error_response
from .scripts import FOREVER

PREFIX = "/tags/"


async def tag_list_response(path: str, accepted: str, library: TagLibrary) -> Response:
    """`accepted`: the request's Accept-Encoding. There is no other version than that of the files now, of
    which the page is told with the catalog."""
    tags = await anyio.to_thread.run_sync(library.tags)
    if path.removeprefix(PREFIX) != tags.version:
        return error_response("The lists of tags have changed; ask for the new version.", 404)
    headers = {**FOREVER, "vary": "accept-encoding"}
    if "gzip" in accepted:
        content = await anyio.to_thread.run_sync(lambda: tags.compressed)
        headers["content-encoding"] = "gzip"
    else:
        content = tags.text.encode()
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)
