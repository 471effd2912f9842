"""The checkpoint and the LoRAs behind a sampler of ComfyUI's graph."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from . import comfyui_loras, comfyui_values, values
from .comfyui_graph import Graph, Node, links
from .comfyui_loras import Lora

CHECKPOINTS = ("ckpt_name", "base_ckpt_name", "unet_name", "model_name", "checkpoint", "ckpt")
MODELS = ("model", "model1", "base_model", "model_1", "MODEL")
_NEUTRAL = re.compile(r"lora|^context|pipe", re.IGNORECASE)
"""Nodes that load LoRAs or only pass values through."""


@dataclass(frozen=True)
class Models:
    checkpoint: str | None
    """As recorded by the loader, with folder and extension."""
    loras: tuple[Lora, ...]
    """In order of application."""

    def loras_with(self, encoders: Collection[str] | None) -> list[dict[str, Any]]:
        """The LoRAs with their weights. `encoders`: ids of the nodes between checkpoint and text encoder;
        None if unknown."""
        found = []
        for lora in self.loras:
            clip = lora.weight if lora.encoders is None else lora.encoders
            if encoders is not None and lora.node not in encoders:
                clip = 0.0
            own = {} if clip == lora.weight else {"te_weight": clip}
            found.append({"name": lora.name, "weight": lora.weight, **own})
        return found


def of_sampler(graph: Graph, sampler: Node, notes: list[str]) -> Models:
    """Follow `model` to the loaded file; nodes on the way that change the model go to `graph.ignored`."""
    guider = graph.follow(sampler.inputs.get("guider"))
    owner = guider[0] if guider else sampler
    upstream = graph.follow(comfyui_values.input_of(graph, owner, *MODELS))
    node: Node | None = upstream[0] if upstream else comfyui_values.pipe_end(graph, owner)
    loras: list[Lora] = []
    seen: set[str] = set()
    while node is not None and node.id not in seen:
        seen.add(node.id)
        loras += reversed(comfyui_loras.of_node(graph, node, notes))
        name = next((node.inputs[key] for key in CHECKPOINTS if key in node.inputs), None)
        if name is not None:
            # pysssss' loader stores a preview along with the name
            plain = name.get("content") if isinstance(name, dict) else name
            path = plain if isinstance(plain, str) else comfyui_values.words(graph, plain, notes)
            if node.inputs.get("refiner_ckpt_name") not in (None, "None"):
                graph.ignored[f"{node.kind} ({values.shown(node.inputs['refiner_ckpt_name'])})"] = None
            return Models(path or None, tuple(reversed(loras)))
        if not _NEUTRAL.search(node.kind) and node.id != owner.id:
            graph.ignored[values.shown(node.kind)] = None
        key = next((key for key in MODELS if key in node.inputs), None)
        link = node.inputs[key] if key else next((value for _, value in links(node)), None)
        if key == "model1":
            notes.append(f"The checkpoint was merged from several ({node.kind}); the first one is taken.")
        next_upstream = graph.follow(link)
        node = next_upstream[0] if next_upstream else None
    notes.append("The workflow does not say which checkpoint its sampler used.")
    return Models(None, tuple(reversed(loras)))
