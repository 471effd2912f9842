"""The server's state in the page: what changed since the last tick of the timer, in one answer.

A script asks at each tick and publishes what it gets on the page's bus. It asks through a server function,
not through an event, because Gradio's page does more work for an event than the answer is worth.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..api import serializers
from ..api.complete import completion_view
from ..api.conversion import conversions_view
from ..api.detect import detectors_view
from ..api.embeddings import embedding_view
from ..api.gradio_helpers import BACKGROUND_EVENT, page_json
from ..request import SCHEDULERS
from ..services import Services
from .catalog_changes import CatalogChanges
from .loras.tools import folders_view, tools_view
from .modules import call, start_view
from .studio import styles, vae_list

TICK_SECONDS = 0.5


def build(services: Services) -> gr.HTML:
    """Build the timer and the component that asks. Its event "catalog_changed" follows a change of the model
    folders."""
    store, registry, outputs, worker = services.store, services.registry, services.outputs, services.worker
    studio = secrets.token_hex(8)

    def jobs() -> Any:
        return serializers.queue_view(services) | {"device": services.device()}

    def live() -> Any:
        return serializers.live_view(services)

    def catalog() -> Any:
        return {
            "checkpoints": [serializers.checkpoint_view(c) for c in registry.checkpoints()],
            "loras": serializers.loras_view(services, None),
            "embeddings": [embedding_view(each, None) for each in registry.embeddings()],
            "detectors": detectors_view(services),
            "completion": completion_view(registry),
            "problems": list(registry.problems),
            "samplers": list(SCHEDULERS),
            "vaes": vae_list.entries(registry),
            "styles": styles.state(registry),
            "folders": folders_view(services.settings),
            "tools": tools_view(registry),
            "missing": {
                "loras.json": list(registry.missing_loras),
                "models.json": list(registry.missing_checkpoints),
            },
        }

    catalogs = CatalogChanges(catalog)

    def webbduck_changes(known: Any) -> str:
        """JSON: the versions now, and the views whose version is not the `known` one. "studio" tells one
        start of the server from the next."""
        worker.previews.mark_watched()
        # The device is sent with the jobs; its name is known once there is a generator.
        named = "+" if worker.context.has_generator else "-"
        versions = {
            "jobs": f"{store.list_version}{named}{worker.device_version}",
            "live": str(store.version),
            "catalog": str(registry.version),
            "gallery": str(outputs.version),
            "conversions": f"{registry.version}+{services.conversions.version}",
        }
        seen = known if isinstance(known, dict) else {}

        def catalog_change() -> Any:
            change, versions["catalog"] = catalogs.view(seen.get("catalog"), versions["catalog"])
            return change

        views: dict[str, Callable[[], Any]] = {
            "jobs": jobs,
            "live": live,
            "catalog": catalog_change,
            "gallery": lambda: {"version": versions["gallery"]},
            "conversions": lambda: conversions_view(services),
        }
        changed = {name: view() for name, view in views.items() if seen.get(name) != versions[name]}
        return page_json({"studio": studio, "versions": versions, "changed": changed})

    view = gr.HTML(
        "",
        js_on_load=start_view("shared/changes.js", "catalog_changed"),
        elem_id="changes",
        elem_classes="channel",
        server_functions=[webbduck_changes],
    )
    gr.Timer(TICK_SECONDS).tick(None, js=call("shared/changes.js", "module.tick()"), **BACKGROUND_EVENT)
    return view
