"""Conditions under which a setting has an effect, as data: Python evaluates them here, the page evaluates the
same table in ui/shared/settings.js.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Result = TypeVar("Result")

SecondPass = Literal["refiner", "img2img"]
"""What a second pass does: a refiner continues unfinished latents, img2img reworks the finished image."""

ConditionName = Literal[
    "guidance", "image", "mask", "whole_area", "masked_area", "second_pass", "img2img_pass", "refiner_pass"
]
Test = tuple[str, Literal["set", "unset", "is", "is not"], Any]
"""A field of the request, an operator, and the operand of "is" and "is not"."""


@dataclass(frozen=True)
class Condition:
    """Holds if all of its tests pass; with `negated`, if at least one fails."""

    otherwise: str
    """Describes a request where it does not hold: "without a mask"."""
    tests: tuple[Test, ...]
    negated: bool = False


_MASK: tuple[Test, ...] = (("image", "set", None), ("mask", "set", None))
_MASKED_AREA: tuple[Test, ...] = (*_MASK, ("inpaint_area", "is", "masked"))
_SECOND_PASS: Test = ("second_pass_model", "set", None)

CONDITIONS: dict[ConditionName, Condition] = {
    "guidance": Condition("at CFG 1, which disables guidance", (("cfg", "is not", 1),)),
    "image": Condition("without an input picture", (("image", "set", None),)),
    "mask": Condition("without a mask", _MASK),
    "whole_area": Condition("when only the masked area is inpainted", _MASKED_AREA, negated=True),
    "masked_area": Condition("when the whole picture is inpainted", _MASKED_AREA),
    "second_pass": Condition("without a second pass", (_SECOND_PASS,)),
    "img2img_pass": Condition(
        "when a refiner continues", (_SECOND_PASS, ("second_pass_kind", "is not", "refiner"))
    ),
    "refiner_pass": Condition(
        "when the second pass is img2img", (_SECOND_PASS, ("second_pass_kind", "is not", "img2img"))
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
    return {name: _all_hold(each.tests, values) != each.negated for name, each in CONDITIONS.items()}


def _all_hold(tests: Iterable[Test], values: Mapping[str, Any]) -> bool:
    return all(_holds(operator, values.get(field), wanted) for field, operator, wanted in tests)


def _holds(operator: str, value: Any, wanted: Any) -> bool:
    if operator in ("set", "unset"):
        return bool(value) == (operator == "set")
    return (value == wanted) == (operator == "is")
