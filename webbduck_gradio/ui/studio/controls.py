"""Builds the control of a setting from its declaration (`request.SETTINGS`)."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...request import SETTINGS, Setting, in_form_order
from ..shared.numbers import number_field


def of_group(group: str) -> list[Setting]:
    """The settings of one group of the form, in form order."""
    return [setting for setting in in_form_order(SETTINGS) if setting.group == group]


def build_group(fields: dict[str, Any], group: str, start: dict[str, Any] | None = None) -> None:
    """Build the controls of a group that are not in `fields` yet, and add them to it.

    `start`: initial values that replace the defaults.
    """
    rows: list[list[Setting]] = []
    for setting in of_group(group):
        if setting.name in fields:
            continue
        if setting.is_beside and rows:
            rows[-1].append(setting)
        else:
            rows.append([setting])
    for row in rows:
        if len(row) == 1:
            build_one(fields, row[0], start)
            continue
        with gr.Row(elem_classes="fields"):
            for setting in row:
                build_one(fields, setting, start, in_row=True)


def build_one(
    fields: dict[str, Any],
    setting: Setting,
    start: dict[str, Any] | None = None,
    *,
    in_row: bool = False,
    **more: Any,
) -> Any:
    """Build the control of one setting, add it to `fields` and return it."""
    control = _control(setting, (start or {}).get(setting.name, setting.default), in_row, more)
    fields[setting.name] = control
    return control


def _control(setting: Setting, value: Any, in_row: bool, more: dict[str, Any]) -> Any:
    label, element = setting.form_label or setting.label, setting.element_id
    if setting.placeholder:
        more["placeholder"] = setting.placeholder
    if setting.is_number:
        label += setting.unit and f", {setting.unit}"
        if in_row:
            more.setdefault("min_width", 60)
        return number_field(value, label, element, **more)
    if setting.control == "text":
        more = {"lines": 2, "max_lines": 6} | more
        return gr.Textbox(value or "", label=label, elem_id=element, **more)
    if in_row:
        more.setdefault("scale", 3)
    if setting.control == "choice":
        choices = [(name, each) for each, name in setting.choices.items()]
        return gr.Radio(choices, value=value, label=label, elem_id=element, elem_classes="segmented", **more)
    if setting.control == "list":
        more.setdefault("min_width", 150)
        listed = [(name, each) for each, name in setting.choices.items()]
        return gr.Dropdown(listed, value=value, label=label, elem_id=element, filterable=False, **more)
    if setting.control == "file":  # the id of a stored file, which a script writes
        return gr.Textbox("", elem_id=element, elem_classes="channel", show_label=False)
    assert setting.control == "model", f"{setting.name} needs a control of its own"
    # An optional model uses "" for none; the checkpoint dropdown is empty (None) if there is no checkpoint.
    values = [each[1] if isinstance(each, tuple) else each for each in more.get("choices", ())]
    nothing = "" if "" in values else None
    return gr.Dropdown(value=value or nothing, label=label, elem_id=element, **more)
