"""Conditions under which a setting has an effect, as data: Python evaluates them here, the page evaluates the
same table in ui/shared/settings.js.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .samplers import AUTOMATIC, BETA, SAMPLERS, SCHEDULES, Sampler, Schedule, schedule_record

Result = TypeVar("Result")

SecondPass = Literal["refiner", "img2img"]
"""What a second pass does: a refiner continues unfinished latents, img2img reworks the finished image."""

ConditionName = Literal[
    "guidance", "image", "mask", "soft_border", "whole_area", "masked_area", "second_pass", "img2img_pass",
    "refiner_pass", "partial", "batch", "joint", "variation", "eta", "churn", "churned", "noise",
    "step_noise", "range", "rho", "beta", "freeu", "mimic", "hires", "no_outpaint",
]  # fmt: skip
Test = tuple[str, Literal["set", "unset", "is", "is not", "in"], Any]
"""A field of the request, an operator, and the operand of "is", "is not" and "in"."""


@dataclass(frozen=True)
class Condition:
    """Holds if all of its tests pass, or all of one of the `alternatives`; `negated` turns that round."""

    otherwise: str
    """Describes a request where it does not hold: "without a mask"."""
    tests: tuple[Test, ...]
    negated: bool = False
    alternatives: tuple[tuple[Test, ...], ...] = ()


def _samplers(are_meant: Callable[[Sampler], bool]) -> Test:
    return "sampler", "in", tuple(each.name for each in SAMPLERS if are_meant(each))


def _on_schedules(otherwise: str, are_meant: Callable[[Schedule], bool]) -> Condition:
    """Holds for schedules that are chosen, or that "Automatic" selects."""
    chosen = tuple(each.name for each in SCHEDULES if each.name != AUTOMATIC and are_meant(each))
    automatic = _samplers(lambda sampler: are_meant(schedule_record(sampler, AUTOMATIC)))
    return Condition(
        otherwise,
        (("schedule", "in", chosen),),
        alternatives=((("schedule", "is", AUTOMATIC), automatic),),
    )


_MASK: tuple[Test, ...] = (("image", "set", None), ("mask", "set", None))
_MASKED_AREA: tuple[Test, ...] = (*_MASK, ("inpaint_area", "is", "masked"))
_SECOND_PASS: Test = ("second_pass_model", "set", None)
_IMG2IMG_PASS: tuple[Test, ...] = (_SECOND_PASS, ("second_pass_kind", "is not", "refiner"))
_CHURNED: tuple[Test, ...] = (_samplers(lambda each: each.has_churn), ("s_churn", "set", None))
_INDEPENDENT: tuple[Test, ...] = (_samplers(lambda each: each.noise == "steps"),)
_WITH_ETA: tuple[Test, ...] = (
    _samplers(lambda each: each.noise == "none" and each.eta is not None), ("eta", "set", None),
)  # fmt: skip

CONDITIONS: dict[ConditionName, Condition] = {
    "guidance": Condition("at CFG 1, which disables guidance", (("cfg", "is not", 1),)),
    "image": Condition("without an input picture", (("image", "set", None),)),
    "mask": Condition("without a mask", _MASK),
    "soft_border": Condition(
        "without a mask or outpainting",
        _MASK,
        alternatives=((("image", "set", None), ("outpaint", "set", None)),),
    ),
    "whole_area": Condition("when only the masked area is inpainted", _MASKED_AREA, negated=True),
    "masked_area": Condition("when the whole picture is inpainted", _MASKED_AREA),
    "second_pass": Condition("without a second pass", (_SECOND_PASS,)),
    "img2img_pass": Condition("when a refiner continues", _IMG2IMG_PASS),
    "refiner_pass": Condition(
        "when the second pass is img2img", (_SECOND_PASS, ("second_pass_kind", "is not", "img2img"))
    ),
    "partial": Condition(
        "without an input picture or an img2img second pass",
        (("image", "set", None),),
        alternatives=(_IMG2IMG_PASS,),
    ),
    "no_outpaint": Condition("when the picture is outpainted", (("outpaint", "unset", None),)),
    "batch": Condition("for a single picture", (("num_images", "is not", 1),)),
    "joint": Condition(
        "with DPM adaptive, outpainting, an img2img second pass, details or kept stages, which draw one "
        "picture at a time",
        (
            ("outpaint", "unset", None),
            ("details", "unset", None),
            ("keep_stages", "is not", "on"),
            ("second_pass_kind", "is not", "img2img"),
            *(
                (field, "is not", each.name)
                for each in SAMPLERS
                if each.is_adaptive
                for field in ("sampler", "hires_sampler")
            ),
        ),
    ),
    "variation": Condition("at variation strength 0", (("variation_strength", "set", None),)),
    "eta": Condition("with a sampler that has no eta", (_samplers(lambda each: each.eta is not None),)),
    "churn": Condition("with a sampler that has no churn", (_samplers(lambda each: each.has_churn),)),
    "churned": Condition("without churn", _CHURNED),
    "noise": Condition(
        "with a sampler that adds no noise",
        (_samplers(lambda each: each.noise != "none"),),
        alternatives=(_WITH_ETA, _CHURNED),
    ),
    "step_noise": Condition(
        "with a sampler that draws no noise at its steps", _INDEPENDENT, alternatives=(_WITH_ETA, _CHURNED)
    ),
    "range": _on_schedules("with a schedule that has no range", lambda each: each.has_range),
    "rho": _on_schedules("with a schedule that has no rho", lambda each: each.has_rho),
    "beta": _on_schedules("with a schedule other than Beta", lambda each: each.name == BETA),
    "freeu": Condition("without FreeU", (("freeu", "is", "on"),)),
    "mimic": Condition("without a mimicked CFG", (("mimic_cfg", "set", None),)),
    "hires": Condition(
        "without a hires pass",
        (("hires_scale", "set", None),),
        alternatives=((("hires_width", "set", None),), (("hires_height", "set", None),)),
    ),
}
"""`second_pass_kind` is not a field but the result of `second_pass`; None leaves both kinds possible."""

SECOND_PASS_RULES: tuple[tuple[tuple[Test, ...], SecondPass | None], ...] = (
    ((("second_pass_model", "unset", None),), None),
    ((("second_pass_mode", "is", "refiner"),), "refiner"),
    ((("second_pass_mode", "is", "img2img"),), "img2img"),
    ((("image", "set", None),), "img2img"),
    ((("second_pass_arch", "unset", None),), None),
    ((("second_pass_arch", "is", "sdxl-refiner"),), "refiner"),
    ((), "img2img"),
)
"""What the second pass does: the first rule whose tests all pass. `second_pass_arch` is not a field but the
architecture of the second model."""


def second_pass(request: Mapping[str, Any], arch: str | None) -> SecondPass | None:
    """What the second pass of a request does with a model of this architecture.

    None if there is no second pass, or if the mode is "auto" and the architecture unknown.
    """
    return first_match(SECOND_PASS_RULES, {**request, "second_pass_arch": arch})


def first_match(rules: Iterable[tuple[Iterable[Test], Result]], values: Mapping[str, Any]) -> Result:
    """The result of the first rule whose tests all pass; the last rule has none."""
    return next(result for tests, result in rules if _all_hold(tests, values))


def conditions(request: Mapping[str, Any], kind: SecondPass | None = None) -> dict[ConditionName, bool]:
    """Which conditions hold for the fields of a request. `kind`: the result of `second_pass`, if known."""
    values = {**request, "second_pass_kind": kind or second_pass(request, None)}
    return {
        name: any(_all_hold(tests, values) for tests in (each.tests, *each.alternatives)) != each.negated
        for name, each in CONDITIONS.items()
    }


def _all_hold(tests: Iterable[Test], values: Mapping[str, Any]) -> bool:
    return all(_holds(operator, values.get(field), wanted) for field, operator, wanted in tests)


def _holds(operator: str, value: Any, wanted: Any) -> bool:
    if operator in ("set", "unset"):
        return bool(value) == (operator == "set")
    if operator == "in":
        return value in wanted
    return (value == wanted) == (operator == "is")
