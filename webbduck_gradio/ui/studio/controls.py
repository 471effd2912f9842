"""Builds the control of a setting from its declaration (`request.SETTINGS`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

import gradio as gr

from ...request import SETTINGS, Setting, in_form_order
from ..modules import start_view
from ..shared.numbers import number_field


def of_group(group: str) -> list[Setting]:
    """The settings of one group of the form, in form order."""
    return [setting for setting in in_form_order(SETTINGS) if setting.group == group]


def build_group(
    fields: dict[str, Any],
    group: str,
    start: dict[str, Any] | None = None,
    choices: Mapping[str, list[dict[str, str]]] = MappingProxyType({}),
) -> None:
    """Build the controls of a group that are not in `fields` yet, and add them to it.

    `start`: initial values that replace the defaults. `choices`: those of lists that depend on what is
    installed, by setting.
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
            name = row[0].name
            more: dict[str, Any] = {"choices": choices[name]} if name in choices else {}
            build_one(fields, row[0], start, **more)
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
        more = {"min_width": 150, "choices": list_entries(setting, setting.choices)} | more
        return _list(setting, label, value, **more)
    if setting.control == "file":  # the id of a stored file, which a script writes
        return gr.Textbox("", elem_id=element, elem_classes="channel", show_label=False)
    assert setting.control == "model", f"{setting.name} needs a control of its own"
    return _list(setting, label, value, **more)


def list_entries(setting: Setting, values: Iterable[str]) -> list[dict[str, str]]:
    """The `choices` of a list (shared/choices.js): its values with their labels, by group where there are
    groups."""
    entries = [
        {
            "value": value,
            "label": setting.choices.get(value, value),
            "group": setting.choice_groups.get(value, ""),
        }
        for value in values
    ]
    groups = list(dict.fromkeys(setting.choice_groups.values()))
    return sorted(entries, key=lambda each: groups.index(each["group"]) if each["group"] else -1)


def _list(setting: Setting, label: str, value: Any, **more: Any) -> gr.HTML:
    """A list to choose one value from (studio/list.js). Its value is "" while nothing is chosen."""
    named = f'data-field="{setting.name}" data-label="{escape(label)}"'
    return gr.HTML(
        value or "",
        html_template=f'<div class="combobox-place" {named}></div>',
        js_on_load=start_view("studio/list.js"),
        elem_id=setting.element_id,
        apply_default_css=False,
        **more,
    )
