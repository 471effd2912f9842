"""What all requests share: their base, the types of their fields, and one sentence for what does not fit."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ..errors import RequestError
from .fields import limits_of

MAX_INPUT_BYTES = 64 * 2**20
"""Of a picture that a client sends."""
MIN_SIDE, MAX_SIDE, SIDE_STEP = 64, 4096, 8
"""Width and height in pixels; a latent pixel covers 8 x 8 of them."""


def reject_bool(value: Any) -> Any:
    """Validator of numbers: a boolean is none."""
    # JSON's true would otherwise pass as the number 1.
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


StrictInt = Annotated[int, BeforeValidator(reject_bool)]
StrictFloat = Annotated[float, BeforeValidator(reject_bool)]
Side = Annotated[int, BeforeValidator(reject_bool), Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_STEP)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
ImageId = Annotated[str, Field(min_length=1, max_length=1024)]
"""What the gallery calls a picture, "RUN/0.png", or the name of a stored input picture."""
INPUT_IMAGE_ID = r"[0-9a-f]{64}\.(?:png|jpg|jpeg|webp)"
InputImageId = Annotated[str, Field(pattern=f"^{INPUT_IMAGE_ID}$")]
"""Name of a stored input picture: the SHA-256 of its bytes and its ending."""


class BaseRequest(BaseModel):
    """Base of the requests: frozen, nothing unknown, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def validated(cls, **asked: Any) -> Self:
        """Validate; raise `RequestError` with one sentence where something does not fit."""
        try:
            return cls(**asked)
        except ValidationError as error:
            raise RequestError(error_message(error, cls), field=_field_of(error)) from None


class LoraSelection(BaseRequest):
    """One LoRA of the stack. `weight` scales its whole effect; negative inverts it."""

    name: Name
    weight: Annotated[StrictFloat, Field(ge=-2, le=2)] = 1.0


def error_message(error: ValidationError, model: type[BaseModel]) -> str:
    """One sentence for the first thing that is wrong, in the words of the field's own limits."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"] if not isinstance(part, int)) or ""
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return f"There is no setting named {field[:60]!r}."
    if kind == "value_error":
        text = str(context["error"])
        return f"{field} {text}." if field else f"{text}."
    if kind == "missing":
        return f"{field} is missing."
    shown = _shorten(first.get("input"))
    if kind == "string_too_long":
        length = len(first["input"])
        return f"{field} has {length:,} characters; at most {context['max_length']:,} are possible."
    if kind == "string_too_short":
        return f"{field} is empty; give a name."
    if kind == "literal_error":
        return f"{field} must be {context['expected'].replace(chr(39), '')}, not {shown}."
    if kind == "multiple_of":
        return f"{field} must be a multiple of {context['multiple_of']:g}, not {shown}."
    if kind == "string_pattern_mismatch":
        return f"{field} must be the id of an uploaded picture, not {shown}."
    if kind in ("too_long", "too_short"):
        return f"{field} may have at most {context.get('max_length')} entries."
    if kind == "string_unicode":
        return f"{field} holds a broken character (half of a surrogate pair)."
    if kind in ("string_type", "tuple_type", "model_type", "dict_type", "model_attributes_type"):
        wanted = {"string_type": "text", "tuple_type": "a list"}.get(kind, "a table of name and weight")
        return f"{field} must be {wanted}, not {shown}."
    return f"{field} must be {numeric_bounds(model, first['loc'])}, not {shown}."


def _field_of(error: ValidationError) -> str | None:
    where = error.errors(include_url=False)[0]["loc"]
    return str(where[0]) if where else None


def _shorten(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "infinity or not-a-number"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def numeric_bounds(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """'a whole number from 1 to 150', read off the field's own constraints."""
    owner: type[BaseModel] = LoraSelection if len(location) > 1 and location[0] == "loras" else model
    field = owner.model_fields.get(str(location[-1]))
    if field is None:
        return "something else"
    return bounds_in_words(field)


def bounds_in_words(field: FieldInfo) -> str:
    """'a whole number from 1 to 150', read off the field's own constraints."""
    limits = limits_of(field)
    noun = "a whole number" if field.annotation is int or "whole" in limits else "a number"
    if "least" in limits and "most" in limits:
        noun += f" from {limits['least']:g} to {limits['most']:,.10g}"
    elif "above" in limits and "most" in limits:
        noun += f" above {limits['above']:g}, up to {limits['most']:g}"
    if "step" in limits:
        noun += f", a multiple of {limits['step']:g}"
    return noun


class JobRequest(BaseRequest):
    """A request that the queue can hold."""

    @property
    def images_asked(self) -> int:
        """Pictures that the job makes when all goes well."""
        return 1
