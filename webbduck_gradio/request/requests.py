"""The one vocabulary: what the page builds, the API takes, the queue stores, the core runs and
the metadata records.

A request validates itself; nothing in it is clamped, rounded or dropped. What does not fit raises
`RequestError` with one sentence. Whether the *names* in it exist is asked of the catalog
(`models.catalog.registry.Registry.admit`).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import RequestError

MAX_PROMPT = 4000
"""Longest prompt, in characters."""
MAX_SEED = 2**32 - 1
"""Largest seed. A batch takes seed, seed+1, ...; past the largest it goes on at 0."""
MAX_IMAGES = 8
MAX_LORAS = 16
MIN_SIDE, MAX_SIDE, SIDE_STEP = 64, 4096, 8
"""Width and height in pixels; a latent pixel covers 8 x 8 of them."""
MAX_PIXELS = 4096 * 2304

SCHEDULERS = (
    "DPM++ 2M Karras",
    "DPM++ 2M",
    "DPM++ 2M Exponential",
    "DPM++ 2M SGM Uniform",
    "DPM++ 2M SDE Karras",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Exponential",
    "DPM++ 3M SDE Karras",
    "DPM++ 3M SDE",
    "DPM++ 3M SDE Exponential",
    "DPM++ SDE Karras",
    "DPM++ SDE",
    "DPM++ SDE SGM Uniform",
    "Euler",
    "Euler Karras",
    "Euler SGM Uniform",
    "Euler a",
    "Heun",
    "DPM2 Karras",
    "DPM2",
    "DPM2 a Karras",
    "DPM2 a",
    "LMS Karras",
    "LMS",
    "UniPC",
    "DDIM",
)
"""Names as AUTOMATIC1111 spells them; `core.sampling.schedulers` builds each."""

DEFAULT_SCHEDULER = "DPM++ 2M Karras"


def _no_bool(value: Any) -> Any:
    # JSON's true would otherwise pass as the number 1.
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _seed(value: Any) -> Any:
    """None and -1 ask for a random seed; it is drawn here, once, so that it is recorded."""
    if value is None or (not isinstance(value, (bool, str)) and value == -1):
        return secrets.randbelow(MAX_SEED + 1)
    return value


StrictInt = Annotated[int, BeforeValidator(_no_bool)]
StrictFloat = Annotated[float, BeforeValidator(_no_bool)]
Side = Annotated[int, BeforeValidator(_no_bool), Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_STEP)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
ImageId = Annotated[str, Field(min_length=1, max_length=1024)]
"""What the gallery calls a picture, "RUN/0.png", or the name of a stored input picture."""
InputImageId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\.(png|jpg|jpeg|webp)$")]
"""Name of a stored input picture: the SHA-256 of its bytes and its ending."""


class BaseRequest(BaseModel):
    """Base of the requests: frozen, nothing unknown, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def validated(cls, **asked: Any):
        """Validate; raise `RequestError` with one sentence where something does not fit."""
        try:
            return cls(**asked)
        except ValidationError as error:
            raise RequestError(error_message(error, cls), field=_field_of(error)) from None


class LoraSelection(BaseRequest):
    """One LoRA of the stack. `weight` scales its whole effect; negative inverts it."""

    name: Name
    weight: Annotated[StrictFloat, Field(ge=-2, le=2)] = 1.0


class GenerationRequest(BaseRequest):
    """All that a picture needs. Sizes in pixels; image i of a batch uses seed + i."""

    prompt: Annotated[str, Field(max_length=MAX_PROMPT)] = ""
    negative_prompt: Annotated[str, Field(max_length=MAX_PROMPT)] = ""
    prompt_2: Annotated[str, Field(max_length=MAX_PROMPT)] = ""
    base_model: Name
    width: Side = 1024
    height: Side = 1024
    steps: Annotated[StrictInt, Field(ge=1, le=150)] = 30
    cfg: Annotated[StrictFloat, Field(ge=1, le=30)] = 6.0
    scheduler: Name = DEFAULT_SCHEDULER
    seed: Annotated[StrictInt, Field(ge=0, le=MAX_SEED), BeforeValidator(_seed)] = Field(
        default=None, validate_default=True
    )  # the validator draws a seed for None
    num_images: Annotated[StrictInt, Field(ge=1, le=MAX_IMAGES)] = 1
    loras: Annotated[tuple[LoraSelection, ...], Field(max_length=MAX_LORAS)] = ()
    second_pass_model: Name | None = None
    second_pass_mode: Literal["auto", "refiner", "img2img"] = "auto"
    refinement_strength: Annotated[StrictFloat, Field(gt=0, le=1)] = 0.3
    image: InputImageId | None = None
    mask: InputImageId | None = None
    strength: Annotated[StrictFloat, Field(gt=0, le=1)] = 0.75
    inpainting_fill: Literal["replace", "keep"] = "replace"
    """What is painted: 'replace' the masked part, 'keep' all but the masked part, which is protected."""
    masked_content: Literal["fill", "original"] = "fill"
    """What the painted part begins with: its surroundings' colours, blurred, or what is there."""
    mask_blur: Annotated[StrictInt, Field(ge=0, le=64)] = 8
    resize_mode: Literal["crop", "pad", "stretch"] = "crop"
    """How `image` is fitted to width x height: cut, filled up at the sides, or distorted."""
    inpaint_area: Literal["whole", "masked"] = "whole"
    """'masked': only the mask's surroundings are drawn, at width x height, and put back into `image`."""
    inpaint_padding: Annotated[StrictInt, Field(ge=0, le=512)] = 32
    """Surroundings of the mask that are looked at, in pixels of `image` (with 'masked')."""
    refiner_switch: Annotated[StrictFloat, Field(ge=0.1, le=0.95)] = 0.8
    """Part of the schedule after which a refiner goes on."""
    second_pass_steps: Annotated[Annotated[int, Field(ge=1, le=150)] | None, BeforeValidator(_no_bool)] = None
    """Steps of an img2img second pass, before its strength; None = as many as the first."""
    clip_skip: Annotated[StrictInt, Field(ge=0, le=4)] = 0
    """Text encoder layers left out beyond the one that SDXL leaves out anyway."""
    emphasis: Literal["mean", "none"] = "mean"
    """Whether weighted prompts are brought back to their mean, as AUTOMATIC1111 does."""
    output_format: Literal["png", "jpg", "webp"] = "png"
    """PNG keeps every pixel; all three carry the same metadata."""

    @field_validator("prompt", "negative_prompt", "prompt_2")
    @classmethod
    def _printable(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("must not hold a NUL character")
        return text

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, name: str) -> str:
        if name not in SCHEDULERS:
            raise ValueError(f"must be one of: {', '.join(SCHEDULERS)}")
        return name

    @model_validator(mode="after")
    def _combination(self) -> GenerationRequest:
        if self.width * self.height > MAX_PIXELS:
            size, most = f"{self.width} x {self.height}", f"{MAX_PIXELS / 1e6:.1f} megapixels"
            raise ValueError(f"{size} is more than {most}; choose a smaller size")
        if self.mask and not self.image:
            raise ValueError("A mask needs the image that it belongs to")
        if self.image and int(self.steps * self.strength) < 1:
            raise ValueError(
                f"{self.steps} steps at strength {self.strength:g} leave no step to draw; raise one of them"
            )
        names = [lora.name for lora in self.loras]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"The LoRA {twice} is in the stack twice; keep one of the two")
        return self

    def seed_of(self, index: int) -> int:
        """Seed of image `index` (from 0) of the batch."""
        return (self.seed + index) % (MAX_SEED + 1)

    def for_single_image(self, index: int) -> GenerationRequest:
        """The request that makes image `index` of this batch again, by itself."""
        return self.model_copy(update={"seed": self.seed_of(index), "num_images": 1})


def upgrade_stored_request(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request that was stored by any version, with the meaning that they had then.

    Before there was `masked_content`, the value "keep" of `inpainting_fill` stood for what is now
    `masked_content="original"`, and the masked part was always the one that was painted. Every request stored
    since has `masked_content`, which tells the two apart.
    """
    fill = stored.get("inpainting_fill")
    if "masked_content" in stored or fill not in ("replace", "keep"):
        return dict(stored)
    content = "original" if fill == "keep" else "fill"
    return {**stored, "inpainting_fill": "replace", "masked_content": content}


class UpscaleRequest(BaseRequest):
    """A finished picture made larger. `image`: the id of a picture or of an uploaded file."""

    image: ImageId
    scale: Literal[2, 4] = 2
    upscaler: Name | None = None
    """A model's name or "Lanczos"; None = the first model that is there, else Lanczos."""


class CaptionRequest(BaseRequest):
    """A picture put into words. `max_tokens`: longest answer."""

    image: ImageId
    style: Name = "detailed"
    captioner: Name | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=1000)] = 300


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
    limits: dict[str, float] = {}
    for constraint in field.metadata:
        for key in ("ge", "gt", "le", "multiple_of"):
            if getattr(constraint, key, None) is not None:
                limits[key] = getattr(constraint, key)
    noun = "a whole number" if field.annotation is int else "a number"
    if "ge" in limits and "le" in limits:
        noun += f" from {limits['ge']:g} to {limits['le']:,.10g}"
    elif "gt" in limits and "le" in limits:
        noun += f" above {limits['gt']:g}, up to {limits['le']:g}"
    if "multiple_of" in limits:
        noun += f", a multiple of {limits['multiple_of']:g}"
    return noun
