"""Reading the requests that the queue holds, also those that an older version stored."""

from __future__ import annotations

import json
import logging
from typing import Any

from pydantic import ValidationError

from ..request import GenerationRequest, JobRequest, error_message, upgrade_stored_request
from ..storage.reading import parse_json
from .handlers import HANDLERS

log = logging.getLogger(__name__)


def read_request(kind: str, text: str) -> tuple[JobRequest, str | None]:
    """The stored request, and None or the sentence that says why it does not validate any more.

    Fields that were added since get their defaults, which stand for what was done before they existed.
    """
    handler = HANDLERS.get(kind)
    if handler is None:
        request, _ = _salvage(GenerationRequest, text)
        return request, f"This version of the studio cannot run jobs of the kind {kind}."
    model = handler.request_type
    text = _upgraded(text) if model is GenerationRequest else text
    try:
        return model.model_validate_json(text), None
    except ValidationError as error:
        request, known = _salvage(model, text)
        why = error_message(error, model) if known else "it is not a readable request."
        return request, f"This job's stored settings do not fit this version of the studio: {why}"
    except Exception as error:
        # A fault in a validator must cost this job, not the queue behind it.
        log.exception("A stored request could not be validated")
        request, _ = _salvage(model, text)
        return request, f"This job's stored settings could not be read ({type(error).__name__})."


def _upgraded(text: str) -> str:
    if '"masked_content"' in text:  # no old one; a prompt that says so has its quotes escaped
        return text
    try:
        stored = parse_json(text)
        return json.dumps(upgrade_stored_request(stored)) if isinstance(stored, dict) else text
    except ValueError:
        return text  # what is wrong with it is said by whoever validates it


def _salvage(model: type[JobRequest], text: str) -> tuple[JobRequest, bool]:
    """As much of a request as still validates, for showing only; and whether it was a request at all."""
    try:
        stored = parse_json(text)
    except ValueError:
        stored = None
    known = isinstance(stored, dict)
    fields: dict[str, Any] = {k: v for k, v in stored.items() if k in model.model_fields} if known else {}
    needed: dict[str, Any] = {
        name: "unknown" for name, field in model.model_fields.items() if field.is_required()
    }
    if model is GenerationRequest:
        needed["seed"] = 0  # else one would be drawn
    while True:
        try:
            return model(**{**needed, **fields}), known
        except ValidationError as error:
            wrong = {str(e["loc"][0]) for e in error.errors() if e["loc"]} & fields.keys()
            # An error of the whole (a combination) names no field.
            fields = {k: v for k, v in fields.items() if k not in wrong} if wrong else {}
        except Exception:
            return model.model_construct(None, **needed), known
