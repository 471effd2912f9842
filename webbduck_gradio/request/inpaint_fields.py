"""Further settings of inpainting and outpainting."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from .fields import Pair, Setting
from .hires_fields import HiresFields


def on_or_off(value: Any) -> Any:
    """true and false are taken for "on" and "off"."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class InpaintFields(HiresFields):
    """Further fields of `GenerationRequest`, which follow those of `HiresFields` in the API."""

    # fmt: off

    soft_inpainting: Annotated[Literal["off", "on"], BeforeValidator(on_or_off), Setting(
        label="Soft inpainting", group="image", control="choice", place=65,
        choices={"off": "Off", "on": "On"},
        help="{on}: grey parts of the mask, and its blurred edge, are changed the less the darker they are. "
        "{off}: they are inpainted like white ones, then blended with the input picture.",
        applies=("mask",), reset="kept",
        infotext=Pair("Soft inpainting", {"on": "Differential diffusion"}, at_default=False),
    )] = "off"
    # fmt: on
