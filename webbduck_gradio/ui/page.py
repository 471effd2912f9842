"""The page: four tabs, one timer.

Data flows one way. The timer asks for version counters; what changed is fetched as JSON into hidden
components, whose script publishes it on the page's bus; the views (the modules beside their tab) draw it with
textContent. Buttons in the views come back as events of their component.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..api import generate, parameter_docs, serializers
from ..api.gradio_helpers import BACKGROUND_EVENT, notification, page_json
from ..request import SCHEDULERS
from ..services import Services
from .gallery import tab as gallery_tab
from .loras import tab as loras_tab
from .modules import call, start_view
from .queue import tab as queue_tab
from .studio import tab as studio_tab
from .theme import asset

TICK_SECONDS = 0.5


def channel(name: str) -> gr.HTML:
    """A hidden component: JSON that an event puts into it reaches the subscribers of `name` in the page."""
    return gr.HTML(
        "",
        html_template=f"<i data-channel='{name}'></i>",
        js_on_load=start_view("shared/channel.js"),
        elem_id=f"channel-{name}",
        elem_classes="channel",
    )


def build(services: Services, ticket_secret: str) -> gr.Blocks:
    """All of the page and the API."""
    store, registry, outputs = services.store, services.registry, services.outputs

    def versions() -> str:
        services.worker.previews.mark_watched()
        # With the device's name known the page's jobs are told anew, since it comes with them.
        listed = f"{store.list_version}{'+' if services.worker.context.has_generator else ''}"
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
        """The choices after the catalog changed, and the name of what can no longer be chosen."""
        lost = form.missing_models(chosen, second)
        return [*form.choices(chosen, second), notification(**lost) if lost else gr.skip()]

    with gr.Blocks(title="WebbDuck", analytics_enabled=False, fill_width=True) as page:
        # The API first: names that collide are renamed silently, the later one losing.
        generate.register(services, ticket_secret)
        parameter_docs.describe(page)
        gr.HTML(asset("shared/brand.html"), elem_id="brand", js_on_load=start_view("shared/page.js"))
        channels = {name: channel(name) for name in ("jobs", "live", "catalog", "gallery", "outcome")}
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Studio", id="studio", elem_id="tab-studio"):
                form = studio_tab.build(services, channels["outcome"])
            with gr.Tab("Gallery", id="gallery", elem_id="tab-gallery"):
                gallery_tab.build(services, form, channels, tabs)
            with gr.Tab("Queue", id="queue", elem_id="tab-queue"):
                queue_tab.build(services, form, channels, tabs)
            with gr.Tab("LoRAs", id="loras", elem_id="tab-loras"):
                loras_tab.build(services, form, channels)

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
            told = notification(**lost) if lost else gr.skip()
            return [jobs(), live(), catalog(), told, *form.opened(remembered)]

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
    return value if isinstance(value, str) and len(value) <= 200 else None
