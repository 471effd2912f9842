"""ComfyUI's graph: nodes and their links.

Of the two chunks, `prompt` is what was executed: nodes by id, with `class_type` and `inputs`, in which a link
is [id, output]. `workflow` is the editor's document, used if `prompt` is missing; there, the values of a node
are a list without names. Sources: ComfyUI execution.py, frontend graphToPrompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values

MAX_NODES = 3_000
MAX_VISITS = 12_000
"""Limit on node visits per image, including repeated visits."""
MAX_HOPS = 200
MUTED, BYPASSED = 2, 4
"""`mode` of a disabled node, and of one that passes its input through."""
CONTROLS = ("fixed", "increment", "decrement", "randomize")
"""Values of the editor's "control after generate" widget, which is missing in `prompt`."""
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
"""Widget names of ComfyUI's core nodes, for workflows that do not record them."""


class GraphTooLargeError(ValueError):
    """The graph exceeds `MAX_NODES` or `MAX_VISITS`."""


@dataclass(frozen=True)
class Node:
    id: str
    kind: str
    inputs: Mapping[str, Any]
    passed_on: tuple[str, ...] = ()
    """For a bypassed node: the input passed through to each output ("": none)."""
    muted: bool = False


@dataclass
class Graph:
    """All nodes, with a count of visits."""

    nodes: Mapping[str, Node]
    visits: int = 0
    ignored: dict[str, None] = field(default_factory=dict)
    """Nodes that affected the image but are not taken over, in order of discovery."""

    def visit(self) -> None:
        self.visits += 1
        if self.visits > MAX_VISITS:
            raise GraphTooLargeError("its links lead to too many nodes")

    def follow(self, value: object) -> tuple[Node, int] | None:
        """The node and output that a link leads to, skipping pass-through nodes; None for other values."""
        for _ in range(MAX_HOPS):
            if not is_link(value):
                return None
            self.visit()
            node = self.nodes.get(str(value[0]))  # type: ignore[index]  # a link is a list of two
            if node is None or node.muted:
                return None
            slot = value[1]  # type: ignore[index]
            if node.passed_on:
                value = node.inputs.get(node.passed_on[slot]) if slot < len(node.passed_on) else None
                continue
            key = _pass_through_input(node)
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


def _pass_through_input(node: Node) -> str | None:
    """The input that a reroute or switch passes through; None for any other node."""
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
    # rgthree's switch takes the first connected input
    return next((key for key, _ in sorted(links(node)) if key.startswith("any_")), None)


def read(prompt: object, workflow: object) -> Graph | None:
    """The graph of the two chunks, or None. Raises `GraphTooLargeError`."""
    workflow_json = values.table(values.json_value(workflow))
    prompt_json = values.table(values.json_value(prompt))
    modes = {
        str(node.get("id")): node
        for node in values.rows(workflow_json.get("nodes"))
        if isinstance(node, dict) and node.get("mode") in (MUTED, BYPASSED)
    }
    nodes = {
        str(number): _node(
            str(number), entry["class_type"], values.table(entry.get("inputs")), modes.get(str(number))
        )
        for number, entry in prompt_json.items()
        if isinstance(entry, dict) and isinstance(entry.get("class_type"), str)
    }
    if not nodes:
        nodes = _nodes_of_workflow(workflow_json)
    if len(nodes) > MAX_NODES:
        raise GraphTooLargeError(f"it has {len(nodes):,} nodes")
    return Graph(nodes) if nodes else None


def _node(number: str, kind: str, inputs: Mapping[str, Any], workflow_json: Mapping[str, Any] | None) -> Node:
    kind = values.text(kind)[:200]
    named = {key: value for key, value in inputs.items() if isinstance(key, str)}
    if workflow_json is None:
        return Node(number, kind, named)
    if workflow_json.get("mode") == MUTED:
        return Node(number, kind, named, muted=True)
    return Node(number, kind, named, passed_on=_bypass_inputs(workflow_json))


def _bypass_inputs(workflow_json: Mapping[str, Any]) -> tuple[str, ...]:
    """For each output of a bypassed node, the name of the first input of the same type."""
    ways = []
    inputs = [values.table(each) for each in values.rows(workflow_json.get("inputs"))]
    for output in values.rows(workflow_json.get("outputs"))[:100]:
        kind = values.table(output).get("type")
        ways.append(next((values.text(each.get("name")) for each in inputs if each.get("type") == kind), ""))
    return tuple(ways) or ("",)


def _nodes_of_workflow(workflow_json: Mapping[str, Any]) -> dict[str, Node]:
    """Nodes from the editor's document."""
    sources = {}
    for link in values.rows(workflow_json.get("links")):
        if isinstance(link, list) and len(link) >= 5:
            sources[str(link[0])] = [str(link[1]), link[2]]
        elif isinstance(link, dict):
            sources[str(link.get("id"))] = [str(link.get("origin_id")), link.get("origin_slot")]
    entries = [node for node in values.rows(workflow_json.get("nodes")) if isinstance(node, dict)]
    nodes = {}
    stored: dict[str, Any] = {}
    for entry in entries:
        kind = entry.get("type")
        if not isinstance(kind, str):
            continue
        inputs = _widgets(entry, kind)
        for each in values.rows(entry.get("inputs")):
            if isinstance(each, dict) and each.get("link") is not None and str(each["link"]) in sources:
                inputs[values.text(each.get("name"))] = sources[str(each["link"])]
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
    """Widget values of a node, by name as far as names are known."""
    shown = entry.get("widgets_values")
    if isinstance(shown, dict):
        return {str(key): value for key, value in shown.items()}
    names = WIDGETS.get(kind) or [
        values.text(each["widget"].get("name"))
        for each in values.rows(entry.get("inputs"))
        if isinstance(each, dict) and isinstance(each.get("widget"), dict)
    ]
    found: dict[str, Any] = {}
    ignored = iter(values.rows(shown))
    for name in names:
        value = next(ignored, None)
        if value in CONTROLS and name not in ("add_noise", "control_after_generate"):
            value = next(ignored, None)
        found[name] = value
    if kind.startswith("Power Lora Loader"):
        found |= {
            f"lora_{at}": each
            for at, each in enumerate(values.rows(shown))
            if isinstance(each, dict) and "lora" in each
        }
    return found
