"""Parsing of stored requests, those of older versions included."""

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
    """The stored request, and an error message if it does not validate any more.

    Fields added since get their defaults, which match the behaviour from before they existed.
    """
    handler = HANDLERS.get(kind)
    if handler is None:
        request, _ = _salvage(GenerationRequest, text)
        return request, f"This version of the studio does not support jobs of the kind {kind}."
    model = handler.request_type
    text = _upgraded(text) if model is GenerationRequest else text
    try:
        return model.model_validate_json(text), None
    except ValidationError as error:
        request, known = _salvage(model, text)
        why = error_message(error, model) if known else "the record is not a readable request."
        return request, f"This job's stored settings are not valid in this version of the studio: {why}"
    except Exception as error:
        # A bug in a validator must fail this job only, not block the queue.
        log.exception("A stored request could not be validated")
        request, _ = _salvage(model, text)
        return request, f"This job's stored settings could not be read ({type(error).__name__})."


def _upgraded(text: str) -> str:
    if '"masked_content"' in text:  # a current one; in a prompt the quotes would be escaped
        return text
    try:
        stored = parse_json(text)
        return json.dumps(upgrade_stored_request(stored)) if isinstance(stored, dict) else text
    except ValueError:
        return text  # validation reports the error


def _salvage(model: type[JobRequest], text: str) -> tuple[JobRequest, bool]:
    """The fields of a request that still validate, for display only, and whether it was a JSON object."""
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
        needed["seed"] = 0  # the default would be a random one
    while True:
        try:
            return model(**{**needed, **fields}), known
        except ValidationError as error:
            wrong = {str(e["loc"][0]) for e in error.errors() if e["loc"]} & fields.keys()
            # An error in a combination of fields names none.
            fields = {k: v for k, v in fields.items() if k not in wrong} if wrong else {}
        except Exception:
            return model.model_construct(None, **needed), known
