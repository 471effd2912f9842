"""The settings of the VAE, of the picture's borders, and of what is kept on the way to the picture."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .fields import Pair, Setting
from .inpaint_fields import InpaintFields, on_or_off
from .tiles import Tiling

OWN_VAE = ""
"""The VAE that is part of the checkpoint."""


def _own_if_none(value: Any) -> Any:
    return OWN_VAE if value is None else value


class ModelFields(InpaintFields):
    """Further fields of `GenerationRequest`, which follow those of `InpaintFields` in the API."""

    # fmt: off

    vae: Annotated[str, Field(max_length=255), BeforeValidator(_own_if_none), Setting(
        label="VAE", group="more", control="list", place=50, reset="checkpoint",
        help="The model that turns latents into a picture, and an input picture into latents.",
        page_help="Files added to checkpoint/vae appear here automatically.",
        api_help='A name of /vaes, or "" for the checkpoint\'s own; None = the checkpoint\'s default.',
        listed_at_default=False, lines={"queue": "VAE {}", "fold": "VAE {}"},
        infotext=Pair("VAE", is_written=False),
    )] = OWN_VAE
    tiling: Annotated[Tiling, Setting(
        label="Tiling", group="more", control="choice", place=60,
        choices={"none": "Off", "x": "Horizontal", "y": "Vertical", "both": "Both"},
        help="Makes a seamless pattern: opposite borders of the picture continue each other. {x}: left and "
        "right; {y}: top and bottom.",
        applies=("whole_area", "no_outpaint"),
        listed_at_default=False, lines={"queue": "tiling {}", "fold": "tiling {}"},
        infotext=Pair("Tiling", {"both": "True"}, at_default=False, is_written=False),
    )] = "none"
    keep_stages: Annotated[Literal["off", "on"], BeforeValidator(on_or_off), Setting(
        label="Keep stages", group="more", control="choice", place=70, reset="kept",
        choices={"off": "Off", "on": "On"},
        help="Also saves each finished picture on the way to the final one, such as the one before the "
        "second pass, beside it in the gallery.",
        api_help='true and false mean "on" and "off".',
        listed_at_default=False, lines={"fold": "stages kept"},
    )] = "off"
    # fmt: on
