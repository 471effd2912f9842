"""Responses sent without Gradio."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def error_response(sentence: str, status: int, close: bool = False) -> Response:
    """An error of one sentence, in the format of Gradio's page and clients. `close`: close the connection
    afterwards, because the rest of the stream may not be a valid request."""
    headers = {"connection": "close"} if close else None
    return JSONResponse({"detail": sentence, "error": sentence}, status, headers)
