"""The sides of an outpainting in the form: JSON as text, "" for none."""

from __future__ import annotations

import json
from typing import Any

from ...errors import RequestError


def sides_text(value: Any) -> str:
    """The control's text for a request's value, or for one that the page has kept."""
    return value if isinstance(value, str) else json.dumps(value) if value else ""


def sides_of(text: Any) -> Any:
    """The request's value for the control's text. Raises `RequestError` for what no page has written."""
    try:
        return json.loads(text) if text else None
    except (TypeError, ValueError, RecursionError):
        raise RequestError("outpaint is no list of sides; set the frame again.", field="outpaint") from None
