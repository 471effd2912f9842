"""Number inputs and parsing of typed numbers, with a decimal point or comma.

They are text inputs, since a browser's number input reads "1,5" as 15 in one language and as 1.5 in another.
numbers.js parses in the same way.
"""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

LONGEST = 40
PLAIN = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)")
WHOLE = re.compile(r"[+-]?[0-9]+")
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
"""Ambiguous texts such as "1,500", which can mean 1.5 or 1500."""


def number_field(value: Any, label: str, elem_id: str, **more: Any) -> gr.Textbox:
    """A text input for one number; its value is the text as typed."""
    return gr.Textbox(
        shown(value), label=label, elem_id=elem_id, elem_classes="typed-number", max_lines=1, **more
    )


def shown(value: Any) -> Any:
    """The text of a number in its input; None becomes "", other values are returned unchanged."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value) if isinstance(value, (int, float)) else value


def read(text: Any, whole: bool = False) -> Any:
    """Parse a typed number: None for an empty text; a value that is not a string is returned unchanged.

    Raises `ValueError` with the end of a sentence: "must be a number, not abc".
    """
    if not isinstance(text, str):
        return text
    text = text.strip()
    if not text:
        return None
    if len(text) > LONGEST or not PLAIN.fullmatch(text):
        short = text if len(text) <= LONGEST else text[:LONGEST] + "..."
        raise ValueError(f"must be a {'whole ' if whole else ''}number, not {short}")
    if whole:
        if not WHOLE.fullmatch(text):
            raise ValueError(f"must be a whole number without point or comma, not {text}")
        return int(text)
    if THOUSANDS.fullmatch(text):
        point, none = text.replace(",", "."), text.replace(",", "")
        raise ValueError(f"can mean {point} or {none} as {text}; write it without the comma")
    return float(text.replace(",", "."))
