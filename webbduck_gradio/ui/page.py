"""The page: its tabs, and the timer that updates it.

Data flows one way. At each tick a script fetches what changed (`changes`) and publishes it on the page's bus,
and the views render it with textContent. Buttons in the views trigger events of their component.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..api import parameter_docs, registration
from ..api.gradio_helpers import BACKGROUND_EVENT, notification
from ..api.gradio_internals import Page
from ..services import Services
from . import changes
from .gallery.tab import TAB as GALLERY
from .layouts import resolved
from .loras.tab import TAB as LORAS
from .modules import call, start_view
from .queue.tab import TAB as QUEUE
from .studio import hires, vae_list
from .studio.form import Form
from .studio.tab import TAB as STUDIO
from .tab import PageParts
from .theme import asset

TABS = (STUDIO, GALLERY, QUEUE, LORAS)
SHARED_STYLES = ("shared/common.css", "shared/combobox.css", "shared/upscale_menu.css", "shared/origins.css")
OVERRIDING_STYLES = ("shared/phone.css", "shared/side.css", "shared/outage.css", "shared/completion.css")


def channel(name: str) -> gr.HTML:
    """A hidden component: JSON that an event sets as its value is published to the subscribers of `name`."""
    return gr.HTML(
        "",
        html_template=f"<i data-channel='{name}'></i>",
        js_on_load=start_view("shared/channel.js"),
        elem_id=f"channel-{name}",
        elem_classes="channel",
    )


def style_sheets() -> str:
    """The page's CSS: what tabs share, then each tab's, then what overrides it, as small windows do."""
    of_tabs = [name for tab in TABS for name in tab.style_sheets]
    names = (*SHARED_STYLES, *of_tabs, *OVERRIDING_STYLES)
    return resolved("\n".join(asset(name) for name in names))


def build(services: Services, ticket_secret: str) -> gr.Blocks:
    """Build the page and the API."""

    def follow(chosen: str | None, second: str | None, vae: str | None) -> list[Any]:
        """Model choices after the catalog changed, and a notification if a selected model is gone."""
        lost = form.missing_models(chosen, second)
        vaes, gone = vae_list.after_change(services.registry, vae)
        if gone:
            lost["error"] = " ".join(filter(None, (lost.get("error"), gone)))
        return [
            *form.choices(chosen, second),
            vaes,
            *hires.choices(services.registry),
            notification(**lost) if lost else gr.skip(),
        ]

    with Page(title="WebbDuck", analytics_enabled=False, fill_width=True) as page:
        # The API first: Gradio silently renames the later of two endpoints with the same name.
        registration.register(services, ticket_secret)
        parameter_docs.describe(page)
        gr.HTML(asset("shared/brand.html"), elem_id="brand", js_on_load=start_view("shared/page.js"))
        channels = {name: channel(name) for name in ("outcome",)}
        form = Form(services, {}, channel("signal"))
        with gr.Tabs(elem_id="tabs") as tabs:
            parts = PageParts(services, channels, tabs, form)
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.id, elem_id=f"tab-{tab.id}"):
                    tab.build(parts)

        models = [form.checkpoint, form.fields["second_pass_model"], form.fields["vae"]]
        changes.build(services).catalog_changed(
            follow,
            models,
            [*models, *(form.fields[name] for name in hires.MODELS), channels["outcome"]],
            **BACKGROUND_EVENT,
        )

        def first(remembered: Any) -> list[Any]:
            kept = remembered if isinstance(remembered, dict) else {}
            lost = form.missing_models(_name(kept.get("base_model")), _name(kept.get("second_pass_model")))
            outcome = notification(**lost) if lost else gr.skip()
            return [outcome, *form.opened(remembered)]

        remembered = gr.JSON(visible=False)
        controls = list(form.fields.values())
        page.load(
            first,
            remembered,
            [channels["outcome"], *form.outputs],
            js=call("studio/form.js", "module.recalled()"),
            **BACKGROUND_EVENT,
        ).then(
            None,
            controls,
            None,
            js=form.script("open"),
            **BACKGROUND_EVENT,
        )
    return page


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 255 else None
