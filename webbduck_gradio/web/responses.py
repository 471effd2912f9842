"""Answers that the studio gives itself, without Gradio."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def error_response(sentence: str, status: int, close: bool = False) -> Response:
    """An answer of one sentence, in the form that Gradio's page and clients read. `close`: the last one of
    its connection, because what follows might be no request."""
    headers = {"connection": "close"} if close else None
    return JSONResponse({"detail": sentence, "error": sentence}, status, headers)
