"""ComfyUI's graph: nodes and what their inputs are linked to.

Of the two chunks, `prompt` is what ran: nodes by their numbers, with `class_type` and `inputs`, in which a
link is [number, output]. `workflow` is the drawing of its page, which is read where `prompt` is missing:
there the values of a node are a list without names. Sources: ComfyUI execution.py, frontend graphToPrompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values

MAX_NODES = 3_000
MAX_LOOKS = 12_000
"""Nodes that are looked at while a picture is read, however often the graph leads back to them."""
MAX_HOPS = 200
MUTED, BYPASSED = 2, 4
"""The workflow's marks of a node that is switched off, and of one whose input is passed on as it is."""
CONTROLS = ("fixed", "increment", "decrement", "randomize")
"""What the page shows below a seed; it has no place in `prompt`."""
LORA = ["lora_name", "strength_model", "strength_clip"]
WIDGETS = {
    "CheckpointLoaderSimple": ["ckpt_name"],
    "CLIPTextEncode": ["text"],
    "CLIPSetLastLayer": ["stop_at_clip_layer"],
    "EmptyLatentImage": ["width", "height", "batch_size"],
    "KSampler": ["seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"],
    "KSamplerAdvanced": ["add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler",
                         "start_at_step", "end_at_step", "return_with_leftover_noise"],
    "LoraLoader": LORA,
    "LoraLoaderModelOnly": LORA[:2],
    "CLIPTextEncodeSDXL": ["width", "height", "crop_w", "crop_h", "target_width", "target_height",
                           "text_g", "text_l"],
    "KSamplerSelect": ["sampler_name"],
    "BasicScheduler": ["scheduler", "steps", "denoise"],
    "RandomNoise": ["noise_seed"],
    "CFGGuider": ["cfg"],
    "SamplerCustom": ["add_noise", "noise_seed", "cfg"],
    "LatentUpscale": ["upscale_method", "width", "height", "crop"],
    "LatentUpscaleBy": ["upscale_method", "scale_by"],
    "UNETLoader": ["unet_name", "weight_dtype"],
    "VAELoader": ["vae_name"],
    "ControlNetLoader": ["control_net_name"],
    "LoadImage": ["image"],
    "PrimitiveNode": ["value"],
}  # fmt: skip
"""Names of the values of ComfyUI's own nodes, for workflows that do not tell them."""


class GraphTooLargeError(ValueError):
    """The graph has more nodes than are followed."""


@dataclass(frozen=True)
class Node:
    id: str
    kind: str
    inputs: Mapping[str, Any]
    passed_on: tuple[str, ...] = ()
    """Of a bypassed node: the input that stands for each of its outputs, by number ("" = none)."""
    muted: bool = False


@dataclass
class Graph:
    """All nodes, and how many of them have been looked at."""

    nodes: Mapping[str, Node]
    looks: int = 0
    left: dict[str, None] = field(default_factory=dict)
    """What had a part in the picture and is not taken over, in the order in which it was met."""

    def look(self) -> None:
        self.looks += 1
        if self.looks > MAX_LOOKS:
            raise GraphTooLargeError("the graph leads to too many nodes")

    def follow(self, value: object) -> tuple[Node, int] | None:
        """The node and output behind a link, past what only passes things on; None where there is no link."""
        for _ in range(MAX_HOPS):
            if not is_link(value):
                return None
            self.look()
            node = self.nodes.get(str(value[0]))  # type: ignore[index]  # a link is a list of two
            if node is None or node.muted:
                return None
            slot = value[1]  # type: ignore[index]
            if node.passed_on:
                value = node.inputs.get(node.passed_on[slot]) if slot < len(node.passed_on) else None
                continue
            key = _passed_on(node)
            if key is None:
                return node, slot
            value = node.inputs.get(key)
        return None


def is_link(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], (str, int))
        and isinstance(value[1], int)
        and 0 <= value[1] < 1000
    )


def links(node: Node) -> Iterator[tuple[str, Any]]:
    """The inputs of a node that are links."""
    return ((key, value) for key, value in node.inputs.items() if is_link(value))


def _passed_on(node: Node) -> str | None:
    """The one input that a reroute or a switch passes on; None for any other node."""
    kind = node.kind.casefold()
    if "reroute" in kind or kind in ("getnode", "setnode"):
        return next((key for key, _ in links(node)), None)
    if "switch" not in kind:
        return None
    for key in ("switch", "boolean", "bool", "condition"):
        if isinstance(node.inputs.get(key), bool):
            return "on_true" if node.inputs[key] else "on_false"
    for key in ("select", "Input", "input", "index"):
        chosen = node.inputs.get(key)
        if isinstance(chosen, int):
            return next((each for each, _ in links(node) if re.search(r"\d*$", each)[0] == str(chosen)), None)  # type: ignore[index]  # matches always
    # rgthree's takes the first that is connected
    return next((key for key, _ in sorted(links(node)) if key.startswith("any_")), None)


def read(prompt: object, workflow: object) -> Graph | None:
    """The graph of the two chunks; None where there is none. Raises `GraphTooLargeError`."""
    drawn = values.table(values.json_value(workflow))
    ran = values.table(values.json_value(prompt))
    modes = {
        str(node.get("id")): node
        for node in values.rows(drawn.get("nodes"))
        if isinstance(node, dict) and node.get("mode") in (MUTED, BYPASSED)
    }
    nodes = {
        str(number): _node(
            str(number), entry["class_type"], values.table(entry.get("inputs")), modes.get(str(number))
        )
        for number, entry in ran.items()
        if isinstance(entry, dict) and isinstance(entry.get("class_type"), str)
    }
    if not nodes:
        nodes = _of_workflow(drawn)
    if len(nodes) > MAX_NODES:
        raise GraphTooLargeError(f"it has {len(nodes):,} nodes")
    return Graph(nodes) if nodes else None


def _node(number: str, kind: str, inputs: Mapping[str, Any], drawn: Mapping[str, Any] | None) -> Node:
    kind = values.text(kind)[:200]
    named = {key: value for key, value in inputs.items() if isinstance(key, str)}
    if drawn is None:
        return Node(number, kind, named)
    if drawn.get("mode") == MUTED:
        return Node(number, kind, named, muted=True)
    return Node(number, kind, named, passed_on=_straight_through(drawn))


def _straight_through(drawn: Mapping[str, Any]) -> tuple[str, ...]:
    """For each output of a bypassed node the name of the first input of the same type."""
    ways = []
    inputs = [values.table(each) for each in values.rows(drawn.get("inputs"))]
    for output in values.rows(drawn.get("outputs"))[:100]:
        kind = values.table(output).get("type")
        ways.append(next((values.text(each.get("name")) for each in inputs if each.get("type") == kind), ""))
    return tuple(ways) or ("",)


def _of_workflow(drawn: Mapping[str, Any]) -> dict[str, Node]:
    """Nodes by the page's drawing of them."""
    froms = {}
    for link in values.rows(drawn.get("links")):
        if isinstance(link, list) and len(link) >= 5:
            froms[str(link[0])] = [str(link[1]), link[2]]
        elif isinstance(link, dict):
            froms[str(link.get("id"))] = [str(link.get("origin_id")), link.get("origin_slot")]
    entries = [node for node in values.rows(drawn.get("nodes")) if isinstance(node, dict)]
    nodes = {}
    stored: dict[str, Any] = {}
    for entry in entries:
        kind = entry.get("type")
        if not isinstance(kind, str):
            continue
        inputs = _widgets(entry, kind)
        for each in values.rows(entry.get("inputs")):
            if isinstance(each, dict) and each.get("link") is not None and str(each["link"]) in froms:
                inputs[values.text(each.get("name"))] = froms[str(each["link"])]
        number = str(entry.get("id"))
        shown = values.rows(entry.get("widgets_values"))
        if kind in ("SetNode", "GetNode") and shown and isinstance(shown[0], str):
            source = next((value for value in inputs.values() if is_link(value)), None)
            if kind == "SetNode" and source:
                stored[shown[0]] = source
            inputs["stored"] = shown[0]
        nodes[number] = _node(number, kind, inputs, entry if entry.get("mode") in (MUTED, BYPASSED) else None)
    for number, node in nodes.items():
        if node.kind == "GetNode" and node.inputs.get("stored") in stored:
            nodes[number] = Node(number, node.kind, {"value": stored[node.inputs["stored"]]})
    return nodes


def _widgets(entry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A node's own values by name, as far as the names are known."""
    shown = entry.get("widgets_values")
    if isinstance(shown, dict):
        return {str(key): value for key, value in shown.items()}
    names = WIDGETS.get(kind) or [
        values.text(each["widget"].get("name"))
        for each in values.rows(entry.get("inputs"))
        if isinstance(each, dict) and isinstance(each.get("widget"), dict)
    ]
    found: dict[str, Any] = {}
    left = iter(values.rows(shown))
    for name in names:
        value = next(left, None)
        if value in CONTROLS and name not in ("add_noise", "control_after_generate"):
            value = next(left, None)
        found[name] = value
    if kind.startswith("Power Lora Loader"):
        found |= {
            f"lora_{at}": each
            for at, each in enumerate(values.rows(shown))
            if isinstance(each, dict) and "lora" in each
        }
    return found
