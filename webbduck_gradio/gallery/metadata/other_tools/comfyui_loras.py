"""LoRAs of ComfyUI's nodes: loaders and stackers, including those of common extensions.

LoraLoader, LoraLoaderModelOnly       lora_name, strength_model, strength_clip
Power Lora Loader (rgthree)           lora_1: {on, lora, strength, strengthTwo}
Lora Loader Stack (rgthree)           lora_01, strength_01
CR LoRA Stack                         switch_1, lora_name_1, model_weight_1, clip_weight_1
LoRA Stacker (Efficiency)             lora_count, lora_name_1, lora_wt_1, model_str_1, clip_str_1
easy loraStack                        num_loras, lora_1_name, lora_1_strength, lora_1_model_strength
Lora Loader (LoraManager)             loras: [{name, strength, clipStrength, active}], or text with tags
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from . import comfyui_values, values
from .comfyui_graph import Graph, Node

_NUMBER = re.compile(r"(?:^|_)(\d{1,3})(?:_|$)")
ON = ("switch", "on", "enabled", "toggle", "active", "enable")
OFF = (False, "Off", "off", "False", "disable")
MODEL = ("strength_model", "model_weight", "model_str", "model_strength", "lora_model_strength", "lora_wt",
         "strength", "weight", "wt", "lora_weight", "lora_strength")  # fmt: skip
SIMPLE = ("lora_wt", "lora_strength", *MODEL)
CLIP = ("strength_clip", "clip_weight", "clip_str", "clip_strength", "lora_clip_strength")
COUNTS = ("lora_count", "num_loras")


@dataclass(frozen=True)
class Lora:
    name: str
    weight: float
    encoders: float | None
    """Weight for the text encoders; None: same as `weight`."""
    node: str
    """Id of the node that applies it."""


def of_node(graph: Graph, node: Node, notes: list[str]) -> list[Lora]:
    """The enabled LoRAs that a node loads. [] for other nodes."""
    found = [*_json_loras(node), *_numbered_loras(graph, node, notes), *_tagged_loras(node, notes)]
    upstream = graph.follow(node.inputs.get("lora_stack") or node.inputs.get("optional_lora_stack"))
    hops = 0
    while upstream is not None and hops < 20:
        found += [
            *_json_loras(upstream[0]),
            *_numbered_loras(graph, upstream[0], notes),
            *_tagged_loras(upstream[0], notes),
        ]
        upstream = graph.follow(
            upstream[0].inputs.get("lora_stack") or upstream[0].inputs.get("optional_lora_stack")
        )
        hops += 1
    return [replace(lora, node=node.id) for lora in found if lora.weight or lora.encoders]


def _json_loras(node: Node) -> list[Lora]:
    """rgthree and LoraManager: one JSON object per LoRA."""
    listed = node.inputs.get("loras")
    listed = values.rows(listed.get("__value__") if isinstance(listed, dict) else listed)
    entries = [(values.table(each).get("lora"), each) for each in node.inputs.values()]
    entries += [(values.table(each).get("name"), each) for each in listed]
    found = []
    for name, entry in entries:
        if not isinstance(name, str) or name == "None" or not all(entry.get(key, True) for key in ON):
            continue
        weight = values.number(entry.get("strength", entry.get("weight", 1.0)))
        second = entry.get("strengthTwo", entry.get("clipStrength"))
        if weight is not None:
            found.append(Lora(name, weight, values.number(second), node.id))
    return found


def _numbered_loras(graph: Graph, node: Node, notes: list[str]) -> list[Lora]:
    """lora_name, lora_name_1, lora_1_name, lora_01 ...: grouped by their number."""
    if not any("lora" in key.casefold() for key in node.inputs) or node.inputs.get("toggle") in OFF:
        return []
    groups: dict[str, dict[str, Any]] = {}
    for key, value in node.inputs.items():
        number = _NUMBER.search(key)
        plain = f"{key[: number.start()]}_{key[number.end() :]}".strip("_") if number else key
        groups.setdefault(str(int(number[1])) if number else "", {})[plain.casefold()] = value
    count = next((values.whole(node.inputs[key]) for key in COUNTS if key in node.inputs), None)
    found = []
    for place, group in groups.items():
        name = group.get("lora_name", group.get("lora"))
        if isinstance(name, dict):
            name = name.get("content")  # pysssss' loader stores a preview along with the name
        if not isinstance(name, str) or values.model_path(name) is None:
            continue
        unused = count is not None and place and int(place) > count
        if unused or any(group[key] in OFF for key in ON if key in group):
            continue
        lora = _with_weight(graph, node, name, group, notes)
        if lora:
            found.append(lora)
    return found


def _with_weight(graph: Graph, node: Node, name: str, group: dict[str, Any], notes: list[str]) -> Lora | None:
    simple = node.inputs.get("input_mode", node.inputs.get("mode")) == "simple"
    key = next((key for key in (SIMPLE if simple else MODEL) if key in group), None)
    weight = comfyui_values.number(graph, group[key] if key else 1.0, "LoRA's weight", notes)
    clip = None if simple else next((group[key] for key in CLIP if key in group), None)
    if weight is None:
        notes.append(f"The LoRA {values.shown(name)} was left out, since its weight is not recorded.")
        return None
    if clip is None:
        encoders = 0.0 if "modelonly" in node.kind.casefold().replace(" ", "") else None
    else:
        encoders = comfyui_values.number(graph, clip, "LoRA's weight", notes)
    return Lora(name, float(weight), encoders, node.id)


def _tagged_loras(node: Node, notes: list[str]) -> list[Lora]:
    """Loaders with a text input for `<lora:...>` tags."""
    text = node.inputs.get("text")
    kind = node.kind.casefold()
    if not isinstance(text, str) or "lora" not in kind or node.inputs.get("loras"):
        return []
    _, loras, tag_notes = values.lora_tags(values.text(text))
    notes += tag_notes
    return [Lora(each["name"], each["weight"], each.get("te_weight"), node.id) for each in loras]
