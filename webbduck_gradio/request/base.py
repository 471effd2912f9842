"""Base class and field types of all requests, and error messages for invalid fields."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from ..errors import RequestError
from . import lora_blocks
from .fields import limits_of

MAX_INPUT_BYTES = 64 * 2**20
"""Largest image file that a client may upload."""
MIN_SIDE, MAX_SIDE, SIDE_STEP = 64, 4096, 8
"""Width and height in pixels; a latent pixel covers 8 x 8 pixels."""


def reject_bool(value: Any) -> Any:
    """Validator of numbers: rejects JSON's true and false, which pydantic would accept as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


StrictInt = Annotated[int, BeforeValidator(reject_bool)]
StrictFloat = Annotated[float, BeforeValidator(reject_bool)]
Side = Annotated[int, BeforeValidator(reject_bool), Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_STEP)]
Extension = Annotated[int, BeforeValidator(reject_bool), Field(ge=0, le=MAX_SIDE)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
ImageId = Annotated[str, Field(min_length=1, max_length=1024)]
"""Id of a gallery image, "RUN/0.png", or the name of a stored input image."""
INPUT_IMAGE_ID = r"[0-9a-f]{64}\.(?:png|jpg|jpeg|webp)"
InputImageId = Annotated[str, Field(pattern=f"^{INPUT_IMAGE_ID}$")]
"""Name of a stored input image: the SHA-256 of its bytes, and its extension."""


class BaseRequest(BaseModel):
    """Base of the requests: frozen, unknown fields rejected, no infinity or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def validated(cls, **asked: Any) -> Self:
        """Validated instance. Raises `RequestError` with the name of the invalid field."""
        try:
            return cls(**asked)
        except ValidationError as error:
            raise RequestError(error_message(error, cls), field=_field_of(error)) from None


class OutpaintSides(BaseRequest):
    """Pixels by which a picture is extended on each side."""

    left: Extension = 0
    right: Extension = 0
    top: Extension = 0
    bottom: Extension = 0

    def __bool__(self) -> bool:
        return any((self.left, self.right, self.top, self.bottom))


Strength = Annotated[StrictFloat, Field(ge=-2, le=2)]
Share = Annotated[StrictFloat, Field(ge=0, le=1)]


def _blocks(value: Any) -> Any:
    return None if value is None else lora_blocks.parsed(value)


class LoraSelection(BaseRequest):
    """One LoRA of the stack. `weight` scales its effect; a negative one inverts it."""

    name: Name
    weight: Strength = 1.0
    te_weight: Strength | None = None
    """The weight in the text encoders; None = `weight`."""
    blocks: Annotated[lora_blocks.Blocks | None, BeforeValidator(_blocks)] = None
    """By which both weights are multiplied in each block (`lora_blocks`); None = 1 everywhere."""
    start: Share = 0.0
    end: Share = 1.0
    """Between which shares of a pass's steps it acts in the UNet."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"need a start below the end, not {self.start:g} and {self.end:g}")
        return self

    @model_serializer(mode="wrap")
    def _short(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is at its default, but for the weight."""
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        told = serialize(self)
        return {key: value for key, value in told.items() if key == "weight" or value != defaults[key]}


MOST_NAMED = 4
"""Of an object with more fields, a message names only those that it needs."""


def error_message(error: ValidationError, model: type[BaseModel]) -> str:
    """Message for the first error, with the limits that the field declares."""
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
        return f"{field} has {length:,} of at most {context['max_length']:,} characters; shorten it."
    if kind == "string_too_short":
        return f"{field} is empty; give a name."
    if kind == "literal_error":
        return f"{field} must be {context['expected'].replace(chr(39), '')}, not {shown}."
    if kind == "multiple_of":
        return f"{field} must be a multiple of {context['multiple_of']:g}, not {shown}."
    if kind == "string_pattern_mismatch":
        return f"{field} must be the id of an uploaded image, not {shown}."
    if kind in ("too_long", "too_short"):
        return f"{field} may have at most {context.get('max_length')} entries."
    if kind == "string_unicode":
        return f"{field} contains an invalid character (half of a surrogate pair)."
    if kind in ("string_type", "tuple_type", "model_type", "dict_type", "model_attributes_type"):
        fields = _model_at(model, (*first["loc"], "")).model_fields
        needed = [name for name, each in fields.items() if len(fields) <= MOST_NAMED or each.is_required()]
        keys = " and ".join(filter(None, (", ".join(needed[:-1]), needed[-1])))
        wanted = {"string_type": "text", "tuple_type": "a list"}.get(kind, f"an object with {keys}")
        return f"{field} must be {wanted}, not {shown}."
    return f"{field} must be {numeric_bounds(model, first['loc'])}, not {shown}."


def _field_of(error: ValidationError) -> str | None:
    where = error.errors(include_url=False)[0]["loc"]
    return str(where[0]) if where else None


def _shorten(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "infinity or NaN"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def numeric_bounds(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """`bounds_in_words` of the field at a pydantic error location."""
    field = _model_at(model, location).model_fields.get(str(location[-1]))
    if field is None:
        return "another value"
    return bounds_in_words(field)


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that declares the field at a pydantic error location, also inside another one or a list."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        parts = (each for each in get_args(field.annotation) if isinstance(each, type)) if field else ()
        model = next((each for each in parts if issubclass(each, BaseModel)), model)
    return model


def bounds_in_words(field: FieldInfo) -> str:
    """The range that a field declares: "a whole number from 1 to 150"."""
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
        """Number of images that the job makes if it completes."""
        return 1
