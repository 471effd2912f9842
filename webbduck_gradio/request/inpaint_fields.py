"""Further settings of inpainting and outpainting."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from .base import MIN_SIDE, OutpaintSides
from .fields import Pair, Setting
from .hires_fields import HiresFields


def on_or_off(value: Any) -> Any:
    """true and false are taken for "on" and "off"."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _none_if_zero(sides: OutpaintSides | None) -> OutpaintSides | None:
    return sides or None


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
    outpaint: Annotated[OutpaintSides | None, AfterValidator(_none_if_zero), Setting(
        label="Outpaint", group="image", control="sides", place=15, unit="px", is_content=True,
        help="How far the input picture is extended on each side. The new area begins from the mirrored, "
        "blurred picture and noise, and is drawn in several passes if it is large; the old pixels stay as "
        "they are, but for a border that the mask blur makes wider. Strength 0.9 or more suits it best.",
        api_help='{"left", "right", "top", "bottom"} in px, or in percent of the picture as "25%", to '
        "the nearest 8 px. width and height are the size of the result; None = the picture's with these "
        "sides.",
        applies=("image",), lines={"queue": "{}"},
    )] = None

    # fmt: on

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if not self.outpaint:
            return self
        if not self.image:
            raise ValueError("Outpainting needs an input image")
        if self.mask:
            raise ValueError("Outpainting and a mask cannot be combined; remove one of the two")
        if self.has_hires:
            raise ValueError("Outpainting and a hires pass cannot be combined; leave one of them out")
        width, height = self.outpainted_size
        if min(width, height) < MIN_SIDE:
            raise ValueError(
                f"outpaint leaves {width} x {height} of {self.width} x {self.height} px for the input "
                f"picture, which needs at least {MIN_SIDE} x {MIN_SIDE}; lower it, or enlarge width and "
                "height"
            )
        return self

    @property
    def outpainted_size(self) -> tuple[int, int]:
        """Width and height that the input picture has in the result."""
        sides = self.outpaint or OutpaintSides()
        return self.width - sides.left - sides.right, self.height - sides.top - sides.bottom
