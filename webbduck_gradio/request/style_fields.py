"""The settings of saved styles."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from .base import BaseRequest, Name
from .fields import Setting
from .picture_fields import MAX_PROMPT
from .region_fields import RegionFields

MAX_STYLES = 20

StyleText = Annotated[str, Field(max_length=MAX_PROMPT)]


class StyleUse(BaseRequest):
    """A style of the prompt. Its texts are recorded when the request is built, so that the picture can be
    made again after the style was edited or deleted; None until then."""

    name: Name
    prompt: StyleText | None = None
    negative_prompt: StyleText | None = None

    @property
    def is_recorded(self) -> bool:
        return self.prompt is not None or self.negative_prompt is not None


def _named(style: Any) -> Any:
    return {"name": style} if isinstance(style, str) else style


class StyleFields(RegionFields):
    """Further fields of `GenerationRequest`, which follow those of `RegionFields` in the API."""

    # fmt: off
    styles: Annotated[
        tuple[Annotated[StyleUse, BeforeValidator(_named)], ...],
        Field(max_length=MAX_STYLES),
        Setting(
            label="Styles", group="prompt", control="styles",
            help="Saved texts that are put around the prompt and the negative prompt, in this order; the "
            "second prompt stays as it is.",
            api_help=f"Names of /styles, at most {MAX_STYLES}. `request` lists each as an object with `name` "
            "and the texts `prompt` and `negative_prompt` that it had; such an object can be given instead "
            "of a name, so that a style that was edited or deleted since means the same.",
            lines={"queue": "{}", "sheet": "{}"},
        ),
    ] = ()
    # fmt: on

    @field_validator("styles")
    @classmethod
    def _once_each(cls, styles: tuple[StyleUse, ...]) -> tuple[StyleUse, ...]:
        names = [style.name for style in styles]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"names the style {twice} twice; remove one of the two")
        if any("\0" in f"{each.prompt}{each.negative_prompt}" for each in styles):
            raise ValueError("must not contain a NUL character")
        return styles
