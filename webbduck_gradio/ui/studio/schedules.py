"""The lists of schedules: each offers what the sampler beside it supports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ...api.gradio_helpers import BACKGROUND_EVENT, notification
from ...request import SETTINGS
from ...request.samplers import AUTOMATIC, DEFAULT_SAMPLER, sampler_named, schedules_of
from .controls import list_entries

CHOSEN_BY = {"schedule": ("sampler",), "hires_schedule": ("hires_sampler", "sampler")}
"""Lists of schedules, with the lists of samplers of which the first that is not empty decides."""
INSTEAD = {"schedule": AUTOMATIC, "hires_schedule": ""}
"""What is chosen where the sampler does not support what was."""


def shown(name: str, values: Mapping[str, Any]) -> Any:
    """The update of a list of schedules; `values`: of a request, with at least one of its samplers."""
    supported = supported_in(name, *(values.get(each) for each in CHOSEN_BY[name]))
    value = (values[name] or "") if values[name] in supported else INSTEAD[name]
    return gr.update(choices=_entries(name, supported), value=value)


def supported_in(name: str, *samplers: Any) -> tuple[str, ...]:
    """What a list of schedules offers with these values of its samplers."""
    chosen = next((each for each in samplers if each), None)
    is_known = isinstance(chosen, str) and chosen in SETTINGS["sampler"].choices
    supported = schedules_of(sampler_named(chosen if is_known and chosen else DEFAULT_SAMPLER))
    return (INSTEAD[name], *supported) if INSTEAD[name] not in supported else supported


def wire(fields: dict[str, Any], outcome: gr.HTML) -> None:
    """Let the user's choice of a sampler narrow its list of schedules; `outcome` is told where that changes
    the schedule."""
    for name, samplers in CHOSEN_BY.items():

        def narrow(schedule: Any, *chosen: Any, name: str = name) -> list[Any]:
            supported = supported_in(name, *chosen)
            if schedule in supported:
                return [gr.update(choices=_entries(name, supported)), gr.skip()]
            now, label = INSTEAD[name], SETTINGS[name].label_in_sentence
            sampler = next(each for each in chosen if each)
            message = (
                f"{sampler} does not support the schedule {schedule}; the {label} is now "
                f"{SETTINGS[name].choices[now]}."
            )
            return [
                gr.update(choices=_entries(name, supported), value=now),
                notification(error=message),
            ]

        inputs = [fields[each] for each in (name, *samplers)]
        for each in samplers:
            fields[each].input(narrow, inputs, [fields[name], outcome], **BACKGROUND_EVENT)


def _entries(name: str, schedules: tuple[str, ...]) -> list[dict[str, str]]:
    return list_entries(SETTINGS[name], schedules)
