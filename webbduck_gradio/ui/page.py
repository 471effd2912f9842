"""The page: its tabs, and the timer that updates it.

Data flows one way. The timer fetches version counters; whatever changed is fetched as JSON into hidden
components, whose script publishes it on the page's bus, and the views render it with textContent. Buttons in
the views trigger events of their component.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..api import parameter_docs, registration, serializers
from ..api.gradio_helpers import BACKGROUND_EVENT, notification, page_json
from ..request import SCHEDULERS
from ..services import Services
from .gallery.tab import TAB as GALLERY
from .layouts import resolved
from .loras.tab import TAB as LORAS
from .modules import call, start_view
from .queue.tab import TAB as QUEUE
from .studio.form import Form
from .studio.tab import TAB as STUDIO
from .tab import PageParts
from .theme import asset

TABS = (STUDIO, GALLERY, QUEUE, LORAS)
TICK_SECONDS = 0.5


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
    """The page's CSS: common styles first, then each tab's, then small windows', which override all."""
    of_tabs = [name for tab in TABS for name in tab.style_sheets]
    names = ("shared/common.css", *of_tabs, "shared/phone.css", "shared/side.css")
    return resolved("\n".join(asset(name) for name in names))


def build(services: Services, ticket_secret: str) -> gr.Blocks:
    """Build the page and the API."""
    store, registry, outputs = services.store, services.registry, services.outputs

    def versions() -> str:
        worker = services.worker
        worker.previews.mark_watched()
        # The device is sent with the jobs; its name is known once there is a generator.
        named = "+" if worker.context.has_generator else "-"
        listed = f"{store.list_version}{named}{worker.device_version}"
        return f"{listed}.{store.version}.{registry.version}.{outputs.version}"

    def jobs() -> str:
        return page_json(serializers.queue_view(services) | {"device": services.device()})

    def live() -> str:
        return page_json(serializers.live_view(services))

    def catalog() -> str:
        return page_json(
            {
                "checkpoints": [serializers.checkpoint_view(c) for c in registry.checkpoints()],
                "loras": serializers.loras_view(services, None),
                "problems": list(registry.problems),
                "samplers": list(SCHEDULERS),
                "missing": {
                    "loras.json": list(registry.missing_loras),
                    "models.json": list(registry.missing_checkpoints),
                },
            }
        )

    def follow(chosen: str | None, second: str | None) -> list[Any]:
        """Model choices after the catalog changed, and a notification if a selected model is gone."""
        lost = form.missing_models(chosen, second)
        return [*form.choices(chosen, second), notification(**lost) if lost else gr.skip()]

    with gr.Blocks(title="WebbDuck", analytics_enabled=False, fill_width=True) as page:
        # The API first: Gradio silently renames the later of two endpoints with the same name.
        registration.register(services, ticket_secret)
        parameter_docs.describe(page)
        gr.HTML(asset("shared/brand.html"), elem_id="brand", js_on_load=start_view("shared/page.js"))
        channels = {name: channel(name) for name in ("jobs", "live", "catalog", "gallery", "outcome")}
        form = Form(services, {}, channel("signal"))
        with gr.Tabs(elem_id="tabs") as tabs:
            parts = PageParts(services, channels, tabs, form)
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.id, elem_id=f"tab-{tab.id}"):
                    tab.build(parts)

        counters = [
            gr.Textbox(visible=False, elem_id=f"version-{name}")
            for name in ("jobs", "live", "catalog", "gallery")
        ]
        pulse = gr.Textbox(visible=False, elem_id="pulse")
        gr.Timer(TICK_SECONDS).tick(versions, None, pulse, **BACKGROUND_EVENT)
        pulse.change(None, pulse, counters, js="(text) => text.split('.')", **BACKGROUND_EVENT)
        counters[0].change(jobs, None, channels["jobs"], **BACKGROUND_EVENT)
        counters[1].change(live, None, channels["live"], **BACKGROUND_EVENT)
        counters[2].change(catalog, None, channels["catalog"], **BACKGROUND_EVENT)
        models = [form.checkpoint, form.fields["second_pass_model"]]
        counters[2].change(follow, models, [*models, channels["outcome"]], **BACKGROUND_EVENT)
        counters[3].change(
            lambda version: page_json({"version": version}),
            counters[3],
            channels["gallery"],
            **BACKGROUND_EVENT,
        )

        def first(remembered: Any) -> list[Any]:
            kept = remembered if isinstance(remembered, dict) else {}
            lost = form.missing_models(_name(kept.get("base_model")), _name(kept.get("second_pass_model")))
            outcome = notification(**lost) if lost else gr.skip()
            return [jobs(), live(), catalog(), outcome, *form.opened(remembered)]

        remembered = gr.JSON(visible=False)
        controls = list(form.fields.values())
        page.load(
            first,
            remembered,
            [*(channels[name] for name in ("jobs", "live", "catalog", "outcome")), *form.outputs],
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
