"""Which settings of a request have no effect, as declared by `Setting.applies`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .conditions import CONDITIONS, SecondPass, conditions, second_pass
from .requests import SETTINGS

__all__ = ["SecondPass", "second_pass", "without_effect"]


def without_effect(request: Mapping[str, Any], kind: SecondPass | None = None) -> dict[str, str]:
    """The settings without effect in this request, with the reason: {"mask_blur": "without a mask"}."""
    hold = conditions(request, kind)
    failed = {
        name: next((each for each in setting.applies if not hold[each]), None)
        for name, setting in SETTINGS.items()
    }
    return {name: CONDITIONS[condition].otherwise for name, condition in failed.items() if condition}
