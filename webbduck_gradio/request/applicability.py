"""When a setting of a picture means something: the one table that warnings, lists and the page go by.

A setting means something where all of its conditions hold. What is not in the table always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

SecondPass = Literal["refiner", "img2img"]
"""What a second pass does: it goes on with unfinished latents, or draws over the finished picture."""

NEEDS: dict[str, tuple[str, ...]] = {
    "negative_prompt": ("guidance",),
    "mask": ("image",),
    "strength": ("image",),
    "resize_mode": ("image", "whole_area"),
    "inpainting_fill": ("mask",),
    "masked_content": ("mask",),
    "mask_blur": ("mask",),
    "inpaint_area": ("mask",),
    "inpaint_padding": ("mask", "masked_area"),
    "second_pass_mode": ("second_pass",),
    "refinement_strength": ("second_pass", "drawn_over"),
    "second_pass_steps": ("second_pass", "drawn_over"),
    "refiner_switch": ("second_pass", "taken_over"),
}
"""Conditions of each setting, the most general one first."""

OTHERWISE: dict[str, str] = {
    "guidance": "at CFG 1, where there is no guidance",
    "image": "without a picture",
    "mask": "without a mask",
    "whole_area": "when only the mask is drawn",
    "masked_area": "when the whole picture is drawn",
    "second_pass": "without a second pass",
    "drawn_over": "when a refiner continues",
    "taken_over": "when the second pass is img2img",
}
"""Each condition, in words for a request where it does not hold."""


def second_pass(request: Mapping[str, Any], arch: str | None) -> SecondPass | None:
    """What the second pass of a request does with a model of this architecture.

    None: there is none, or nobody can tell, since the mode is "auto" and the architecture unknown.
    """
    mode: str | None = request.get("second_pass_mode")
    if not request.get("second_pass_model"):
        return None
    if mode == "refiner":
        return "refiner"
    if mode == "img2img" or request.get("image"):
        return "img2img"
    return None if arch is None else "refiner" if arch == "sdxl-refiner" else "img2img"


def conditions(request: Mapping[str, Any], way: SecondPass | None = None) -> dict[str, bool]:
    """Which conditions hold for the fields of a request. `way`: what `second_pass` answered; where nobody
    could tell, both ways may be meant.
    """
    way = way or second_pass(request, None)
    image, mask = bool(request.get("image")), bool(request.get("mask"))
    only_masked = mask and request.get("inpaint_area") == "masked"
    two = bool(request.get("second_pass_model"))
    return {
        "guidance": request.get("cfg") != 1,
        "image": image,
        "mask": image and mask,
        "whole_area": not only_masked,
        "masked_area": only_masked,
        "second_pass": two,
        "drawn_over": two and way != "refiner",
        "taken_over": two and way != "img2img",
    }


def without_effect(request: Mapping[str, Any], way: SecondPass | None = None) -> dict[str, str]:
    """The settings that mean nothing in this request, and when: {"mask_blur": "without a mask"}."""
    hold = conditions(request, way)
    failed = {name: next((each for each in needs if not hold[each]), None) for name, needs in NEEDS.items()}
    return {name: OTHERWISE[condition] for name, condition in failed.items() if condition}
