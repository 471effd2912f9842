"""Values from models.json and loras.json, the user's settings for models, in the first version's formats.

Both files may be edited by hand: an invalid value is reported in `problems` and not used. The files are read
and written by `config_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import RequestError
from ...request import MIN_SIDE, SETTINGS, BaseRequest, GenerationRequest, RedrawRequest
from ...request.hires_fields import DEFAULT_HIRES_SCALE, DEFAULT_HIRES_STRENGTH
from ...request.model_fields import OWN_VAE
from ...request.redraw_request import DEFAULT_REDRAW_SCALE, DEFAULT_REDRAW_STRENGTH
from ...request.samplers import JOINED
from ..triggers import readable


@dataclass(frozen=True)
class Defaults:
    """Default settings of a checkpoint. Sizes in pixels."""

    steps: int
    cfg: float
    width: int
    height: int
    scheduler: str
    """Sampler and schedule in one name, as the first version's files have it."""
    vae: str = OWN_VAE
    """A name of `checkpoint/vae`."""
    hires_scale: float = DEFAULT_HIRES_SCALE
    """Of a hires pass that is asked for without a size, as /hires does."""
    hires_strength: float = DEFAULT_HIRES_STRENGTH
    redraw_scale: float = DEFAULT_REDRAW_SCALE
    redraw_strength: float = DEFAULT_REDRAW_STRENGTH
    """Of redrawing in tiles ("Upscale with detail")."""

    @property
    def sampler(self) -> str:
        return JOINED[self.scheduler][0]

    @property
    def schedule(self) -> str:
        return JOINED[self.scheduler][1]

    def filled_in(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The fields with these defaults where nothing was asked. A sampler that was asked for is not put on
        the schedule of another one."""
        fields = dict(asked)
        for key in OF_EVERY_PICTURE:
            if fields.get(key) is None:
                fields[key] = getattr(self, key)
        named = {key: fields.pop(key, None) for key in ("scheduler", "sampler", "schedule")}
        named = {key: value for key, value in named.items() if value is not None}
        if not named:
            named = {"scheduler": self.scheduler}
        elif named.keys() == {"schedule"}:
            named["sampler"] = self.sampler
        return fields | named


DEFAULT_FIELDS = tuple(name for name, setting in SETTINGS.items() if setting.reset == "checkpoint")
"""Request fields for which a checkpoint has defaults."""
NOTED = tuple(each.name for each in dataclasses.fields(Defaults))
"""What models.json may note of them: a sampler and its schedule in one name."""
OF_EVERY_PICTURE = ("steps", "cfg", "width", "height", "vae")
"""Those that each request has, beside sampler and schedule; the others belong to a later pass."""


def with_defaults(base: Defaults, noted: Any, source: str, problems: list[str]) -> Defaults:
    """`base` overridden by the noted values; an invalid value is reported, not used."""
    if noted is None:
        return base
    if not isinstance(noted, dict):
        problems.append(f"{source}: defaults must be a JSON object; they have no effect.")
        return base
    for key in NOTED:
        if noted.get(key) is None:
            continue
        try:
            base = replace(base, **{key: _checked(base, key, noted[key])})
        except RequestError as error:
            problems.append(f"{source}: {error} It has no effect.")
    return base


def _checked(base: Defaults, key: str, value: Any) -> Any:
    """The value as the request has it. Raises `RequestError` for one that no request may have."""
    if key.startswith("redraw_"):
        name = key.removeprefix("redraw_")
        drawing = GenerationRequest(base_model="any", steps=100, strength_steps="a1111")
        return getattr(_named(key, name, RedrawRequest, image="any", drawing=drawing, **{name: value}), name)
    sizes = {"width": base.width, "height": base.height} if key in ("width", "height") else {}
    if key == "hires_scale":  # the size decides how large it may be, and is not known here
        sizes = {"width": MIN_SIDE, "height": MIN_SIDE}
    return getattr(GenerationRequest.validated(base_model="any", seed=0, **sizes | {key: value}), key)


def _named(key: str, name: str, kind: type[BaseRequest], **fields: Any) -> BaseRequest:
    """An instance, or a `RequestError` that calls the field `name` by its name in the defaults."""
    try:
        return kind.validated(**fields)
    except RequestError as error:
        raise RequestError(str(error).replace(name, key, 1), field=key) from None


def number(entry: dict[str, Any], key: str, default: float, source: str, problems: list[str]) -> float:
    """A LoRA's weight, or `default` if null or missing; an invalid value is reported, not used."""
    value = entry.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not -2 <= value <= 2:
        problems.append(f"{source}: {key} must be a number from -2 to 2; {default:g} is used.")
        return default
    return float(value)


def text(entry: dict[str, Any], key: str, default: str, source: str, problems: list[str]) -> str:
    value = entry.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        problems.append(f"{source}: {key} must be text; it has no effect.")
        return default
    return readable(value)


def texts(
    entry: dict[str, Any], key: str, default: tuple[str, ...], source: str, problems: list[str]
) -> tuple[str, ...]:
    value = entry.get(key)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        problems.append(f"{source}: {key} must be a list of texts; it has no effect.")
        return default
    return tuple(map(readable, value))


def new_checkpoint_entry(file: str | None) -> dict[str, Any]:
    """A new entry of models.json: null means the suggested value."""
    return {"defaults": dict.fromkeys(NOTED)}


def new_lora_entry(file: str | None) -> dict[str, Any]:
    """A new entry of loras.json: null means the file's own value."""
    named = {} if file is None else {"file": file}
    return {**named, "trigger": None, "weight": None, "description": None}
