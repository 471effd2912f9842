"""The Studio's styles: those that are chosen, and the dialog that lists and edits all of them.

Its value in the page is JSON with the chosen styles in their order, "" without any: each with its name, and
with the texts that a picture recorded where these are to stay. The form converts it to and from the `styles`
of a request (`to_request`, `to_control`), as with the LoRA stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ...api.gradio_helpers import error_as_dict, page_json
from ...api.styles import styles_view
from ...models import style_import
from ...models.catalog.registry import Registry
from ...request.style_fields import MAX_STYLES
from ...services import Services
from ..modules import start_view
from . import list_values

PARTS = ("name", "prompt", "negative_prompt")


def build(services: Services, fields: dict[str, Any]) -> None:
    """Build the control."""
    registry, book = services.registry, services.registry.styles

    def changed(change: Callable[[dict[str, Any]], dict[str, Any]], asked: Any) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            made = change(asked if isinstance(asked, dict) else {})
            registry.refresh(patient=True)  # which tells all open pages
            return made

        return error_as_dict(make)

    def webbduck_styles(_: Any) -> dict[str, Any]:
        return error_as_dict(lambda: {"styles": styles_view(services), **state(registry)})

    def webbduck_save_style(asked: Any) -> dict[str, Any]:
        """`replacing`: the name of the style that is edited, None for a new one."""

        def save(style: dict[str, Any]) -> dict[str, Any]:
            replacing = style.get("replacing")
            name, prompt, negative = (style.get(part) for part in PARTS)
            over = str(replacing) if replacing is not None else None
            change = book.save(name, prompt, negative, over)
            if over is not None and over != name:
                services.style_previews.renamed(over, " ".join(str(name).split()))
            return {"change": change}

        return changed(save, asked)

    def webbduck_delete_style(asked: Any) -> dict[str, Any]:
        return changed(lambda style: {"change": book.delete(str(style.get("name")))}, asked)

    def webbduck_style_picture(asked: Any) -> dict[str, Any]:
        def choose(style: dict[str, Any]) -> dict[str, Any]:
            name = book.named(str(style.get("name"))).name
            services.style_previews.choose(name, str(style.get("image")))
            return {"done": True}

        return changed(choose, asked)

    def webbduck_import_styles(asked: Any) -> dict[str, Any]:
        def add(file: dict[str, Any]) -> dict[str, Any]:
            added, taken, change = book.add(style_import.styles_in(file.get("text")))
            return {"added": added, "taken": taken, "change": change}

        return changed(add, asked)

    def webbduck_undo_styles(asked: Any) -> dict[str, Any]:
        def undo(which: dict[str, Any]) -> dict[str, Any]:
            book.undo(which.get("change"))
            return {"done": True}

        return changed(undo, asked)

    fields["styles"] = gr.HTML(
        "",
        html_template='<div class="styles"></div>',
        js_on_load=start_view("studio/styles.js"),
        elem_id="styles",
        apply_default_css=False,
        most=MAX_STYLES,
        server_functions=[
            webbduck_styles,
            webbduck_save_style,
            webbduck_delete_style,
            webbduck_style_picture,
            webbduck_import_styles,
            webbduck_undo_styles,
        ],
    )


def state(registry: Registry) -> dict[str, Any]:
    """What the pages are told of the styles at once: how many, and a value that changes with their files."""
    return {"count": len(registry.styles.styles()), "version": str(hash(registry.styles.stamps))}


def to_request(payload: Any) -> Any:
    """The request's `styles` from the page's value. Anything malformed is passed on for validation to
    refuse."""
    return list_values.to_request(
        payload, lambda entry: {key: value for key, value in entry.items() if key in PARTS}
    )


def to_control(styles: Any) -> str:
    """The page's value of these styles."""
    if isinstance(styles, str) or not styles:
        return styles or ""
    entries = list_values.as_entries(styles)
    return page_json([{key: value for key, value in each.items() if value is not None} for each in entries])
