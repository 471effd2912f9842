"""How many steps a denoising strength leaves."""

from __future__ import annotations

from typing import Literal, NamedTuple

StrengthSteps = Literal["share", "a1111"]
MAX_A1111_STRENGTH = 0.999
"""AUTOMATIC1111 never begins at the very top of the schedule."""


class Steps(NamedTuple):
    """A schedule of `scheduled` steps, of which the last `drawn` are taken."""

    scheduled: int
    drawn: int


def under_strength(steps: int, strength: float, way: StrengthSteps) -> Steps:
    """The steps of img2img.

    "share": int(steps * strength), as diffusers; it may leave none. "a1111": one more, as AUTOMATIC1111
    (modules/sd_samplers_common.py, `setup_img2img_steps`).
    """
    if way == "share":
        return Steps(steps, int(steps * strength))
    return Steps(steps, int(min(strength, MAX_A1111_STRENGTH) * steps) + 1)


def of_second_pass(steps: int, strength: float, way: StrengthSteps) -> Steps:
    """The steps of a second pass. "a1111": exactly `steps` are drawn, the last ones of a longer schedule, as
    in AUTOMATIC1111's hires fix."""
    if way == "share":
        return under_strength(steps, strength, way)
    return Steps(max(steps, int(steps / min(strength, MAX_A1111_STRENGTH))), steps)
