"""The declarations of the request for the page's scripts, which thus need no copy of their own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...models.sizes import LIMITS, TEXTS
from ...request import DETAIL_SETTINGS, MAX_PIXELS, MAX_PROMPT, SETTINGS, SIDE_STEP, Setting, in_form_order
from ...request.conditions import CONDITIONS, SECOND_PASS_RULES
from ...request.fields import FOLDS
from ...request.modes import MODE_RULES
from ...request.samplers import SAMPLERS, schedules_of
from ..layouts import LAYOUTS
from .tooltips import BUTTONS

PRESETS = {
    "1:1": (1024, 1024),
    "4:3": (1152, 896),
    "3:2": (1216, 832),
    "16:9": (1344, 768),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
}
"""(width, height) that SDXL was trained on; the page scales them for a checkpoint of another native size."""


def facts() -> dict[str, Any]:
    """What `webbduckFacts` holds."""
    return {
        "presets": PRESETS,
        "detail_settings": {setting.name: setting_facts(setting) for setting in DETAIL_SETTINGS.values()},
        "schedules": {each.name: schedules_of(each) for each in SAMPLERS},
        "side_step": SIDE_STEP,
        "max_pixels": MAX_PIXELS,
        "max_prompt": MAX_PROMPT,
        "settings": {setting.name: setting_facts(setting) for setting in in_form_order(SETTINGS)},
        "conditions": {name: asdict(condition) for name, condition in CONDITIONS.items()},
        "second_pass_rules": SECOND_PASS_RULES,
        "mode_rules": MODE_RULES,
        "folds": list(FOLDS),
        "button_help": BUTTONS,
        "automatic_schedules": {each.name: each.automatic for each in SAMPLERS},
        "sizes": {"limits": LIMITS, "texts": TEXTS},
        "layouts": LAYOUTS,
    }


def setting_facts(setting: Setting) -> dict[str, Any]:
    """A setting's declaration for the page's scripts (ui/shared/settings.js)."""
    return {
        "label": setting.label,
        "help": setting.tooltip,
        "group": setting.group,
        "control": setting.control,
        "element": setting.element_id,
        "placeholder": setting.placeholder,
        "unit": setting.unit,
        "choices": dict(setting.choices),
        "default": setting.default,
        "limits": dict(setting.limits),
        "step": setting.step or setting.limits.get("step") or (1 if setting.is_whole else 0.05),
        "is_optional": setting.is_optional,
        "has_slider": setting.has_slider,
        "applies": setting.applies,
        "stays_visible": setting.stays_visible,
        "listed_at_default": setting.listed_at_default,
        "lines": dict(setting.lines),
    }
