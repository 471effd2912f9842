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
"""Nodes that load LoRAs, or only hand things on."""


@dataclass(frozen=True)
class Models:
    checkpoint: str | None
    """As the loader names it, with folder and ending."""
    loras: tuple[Lora, ...]
    """In the order in which they are applied."""

    def loras_with(self, encoders: Collection[str] | None, notes: list[str]) -> list[dict[str, Any]]:
        """The LoRAs with one weight each. `encoders`: the nodes between checkpoint and text encoder, if
        known."""
        found = []
        for lora in self.loras:
            name = values.shown(values.model_path(lora.name) or "")
            clip = lora.weight if lora.encoders is None else lora.encoders
            if encoders is not None and lora.node not in encoders:
                clip = 0.0
            if clip != lora.weight:
                told = f"the weight {clip:g}" if clip else "no say"
                notes.append(
                    f"The LoRA {name} had {told} in the text encoders and the weight {lora.weight:g} in the "
                    f"UNet; here a LoRA has one weight, and {lora.weight:g} was taken."
                )
            found.append({"name": lora.name, "weight": lora.weight})
        return found


def of_sampler(graph: Graph, sampler: Node, notes: list[str]) -> Models:
    """Follow `model` to the file that it was loaded from; what changes it on the way is named in
    `graph.left`."""
    guider = graph.follow(sampler.inputs.get("guider"))
    owner = guider[0] if guider else sampler
    behind = graph.follow(comfyui_values.input_of(graph, owner, *MODELS))
    node: Node | None = behind[0] if behind else comfyui_values.pipe_end(graph, owner)
    loras: list[Lora] = []
    seen: set[str] = set()
    while node is not None and node.id not in seen:
        seen.add(node.id)
        loras += reversed(comfyui_loras.of_node(graph, node, notes))
        name = next((node.inputs[key] for key in CHECKPOINTS if key in node.inputs), None)
        if name is not None:
            # pysssss' loader keeps a preview beside the name
            plain = name.get("content") if isinstance(name, dict) else name
            path = plain if isinstance(plain, str) else comfyui_values.words(graph, plain, notes)
            if node.inputs.get("refiner_ckpt_name") not in (None, "None"):
                graph.left[f"{node.kind} ({values.shown(node.inputs['refiner_ckpt_name'])})"] = None
            return Models(path or None, tuple(reversed(loras)))
        if not _NEUTRAL.search(node.kind) and node.id != owner.id:
            graph.left[values.shown(node.kind)] = None
        key = next((key for key in MODELS if key in node.inputs), None)
        link = node.inputs[key] if key else next((value for _, value in links(node)), None)
        if key == "model1":
            notes.append(f"The checkpoint was merged from several ({node.kind}); the first one is taken.")
        following = graph.follow(link)
        node = following[0] if following else None
    notes.append("The workflow does not tell which checkpoint its sampler used.")
    return Models(None, tuple(reversed(loras)))
