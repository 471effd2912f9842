"""The prompts of a sampler in ComfyUI's graph, and its clip skip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import comfyui_values, values
from .comfyui_graph import Graph, Node, is_link, links

MAX_DEPTH = 60
BOTH = (("conditioning_to", "conditioning_from"), ("conditioning_1", "conditioning_2"),
        ("conditioning1", "conditioning2"))  # fmt: skip
TEXTS = ("text", "populated_text", "prompt", "wildcard_text", "string", "text_positive")
PAIRED = re.compile(r"controlnet|inpaint|pix2pix|apply", re.IGNORECASE)
"""Nodes whose first output is the positive and second the negative conditioning."""


@dataclass
class Prompts:
    """`prompt_2` is None if both text encoders get the same text. `clip_skip` as A1111 counts it."""

    prompt: str = ""
    negative: str = ""
    prompt_2: str | None = None
    clip_skip: int | None = None
    clip: frozenset[str] | None = None
    """Ids of the nodes between checkpoint and text encoder; None if that path is unknown."""

    @classmethod
    def of_sampler(cls, graph: Graph, sampler: Node, notes: list[str]) -> Prompts:
        guider = graph.follow(sampler.inputs.get("guider"))
        owner = guider[0] if guider else sampler
        positive = comfyui_values.input_of(graph, owner, "positive", "conditioning", "cond1", "base_positive")
        negative = comfyui_values.input_of(graph, owner, "negative", "base_negative")
        found = _Reader(graph, notes)
        one = found.read(positive, "positive")
        other = found.read(negative, "negative") if negative is not None else ("", "")
        if other[0].strip() != other[1].strip():
            both = ", ".join(text for text in other if text.strip())
            notes.append("The negative prompt was two texts, one for each text encoder; they were joined.")
            other = (both, both)
        clip, clip_skip = found.encoder()
        differ = one[0].strip() != one[1].strip()
        prompts = cls(one[0], other[0], one[1] if differ else None, clip_skip, clip)
        if differ:
            prompts.prompt, prompts.prompt_2 = (one[0], one[1]) if one[1].strip() and one[0].strip() else (
                one[0] or one[1], None)  # fmt: skip
            if prompts.prompt_2 is None:
                notes.append("Only one of the two text encoders had a text; here both get it.")
        return prompts


class _Reader:
    """Follows conditionings to the texts for the first and second text encoder (`text_l`, `text_g`)."""

    def __init__(self, graph: Graph, notes: list[str]):
        self.graph, self.notes = graph, notes
        self.clips: list[Any] = []
        """Links to the CLIP models of the positive prompt's encoders."""

    def read(self, value: Any, role: str, depth: int = 0) -> tuple[str, str]:
        if isinstance(value, str):  # loaders with a prompt input
            return values.text(value), values.text(value)
        upstream = self.graph.follow(value) if depth < MAX_DEPTH else None
        if upstream is None:
            self.notes.append(f"The {role} prompt comes from a node that could not be followed.")
            return "", ""
        node, slot = upstream
        inputs = node.inputs
        if "clip" in inputs and role == "positive":
            self.clips.append(inputs["clip"])
        elif "clip_skip" in inputs and role == "positive":
            self.clips.append(value)
        if "text_g" in inputs or "text_l" in inputs:
            first, second = (self._words(inputs.get(key)) for key in ("text_l", "text_g"))
            return first, second
        if "zeroout" in node.kind.casefold():
            self.notes.append(f"The {role} prompt was zeroed out ({node.kind}); here it is an empty prompt.")
            return "", ""
        for pair in BOTH:
            if all(key in inputs for key in pair):
                return self._combined(node, pair, role, depth)
        return self._from_node(node, slot, value, role, depth)

    def _from_node(self, node: Node, slot: int, value: Any, role: str, depth: int) -> tuple[str, str]:
        inputs = node.inputs
        sides = [key for key in ("positive", "negative") if key in inputs]
        if len(sides) == 2:
            side = role
            if all(is_link(inputs[key]) for key in sides) and slot < 2 and PAIRED.search(node.kind):
                side = sides[slot]
            if PAIRED.search(node.kind):
                self._record_ignored(node)
            if isinstance(inputs[side], str) or not _is_conditioning(self.graph, inputs[side]):
                words = self._words(inputs[side])
                return words, words
            return self.read(inputs[side], role, depth + 1)
        for key in TEXTS:
            if key in inputs and (key != "prompt" or isinstance(inputs[key], str) or is_link(inputs[key])):
                words, loras, tag_notes = values.lora_tags(self._words(inputs[key]))
                self.notes += tag_notes
                if loras:
                    names = values.listed(values.shown(lora["name"]) for lora in loras)
                    self.notes.append(f"LoRA tags in the text of {node.kind} were left out: {names}.")
                return words, words
        if "conditioning" in inputs:
            self._record_ignored(node)
            return self.read(inputs["conditioning"], role, depth + 1)
        linked = [each for key, each in links(node) if key not in ("clip", "model", "vae", "image", "mask")]
        if len(linked) == 1:
            self._record_ignored(node)
            return self.read(linked[0], role, depth + 1)
        self.notes.append(
            f"The {role} prompt comes from the node {values.shown(node.kind)} and could not be read."
        )
        return "", ""

    def _combined(self, node: Node, pair: tuple[str, str], role: str, depth: int) -> tuple[str, str]:
        parts = [self.read(node.inputs[key], role, depth + 1) for key in pair]
        if sum(len(text) for part in parts for text in part) > comfyui_values.MAX_WORDS:
            self.notes.append(f"The {role} prompt consists of too many texts; a part was left out.")
            return parts[0]
        self.notes.append(
            f"The {role} prompt was combined by {values.shown(node.kind)}; here its texts are concatenated, "
            "which is not quite the same."
        )
        first, second = (", ".join(dict.fromkeys(filter(None, side))) for side in zip(*parts, strict=True))
        return first, second

    def _words(self, value: Any) -> str:
        return comfyui_values.words(self.graph, value, self.notes)

    def _record_ignored(self, node: Node) -> None:
        """Record a node that affected the conditioning and is not taken over."""
        control = self.graph.follow(node.inputs.get("control_net"))
        name = control[0].inputs.get("control_net_name") if control else None
        shown = f" ({values.shown(values.model_path(name) or '')})" if name else ""
        self.graph.ignored[values.shown(node.kind) + shown] = None

    def encoder(self) -> tuple[frozenset[str] | None, int | None]:
        """Ids of the nodes between checkpoint and text encoder, and A1111's clip skip if one is set."""
        upstream = self.graph.follow(self.clips[0]) if self.clips else None
        seen: set[str] = set()
        skip: int | None = None
        while upstream is not None and upstream[0].id not in seen:
            node = upstream[0]
            seen.add(node.id)
            stop = node.inputs.get("stop_at_clip_layer", node.inputs.get("clip_skip"))
            if stop is not None and skip is None:
                layer = values.whole(comfyui_values.number(self.graph, stop, "clip skip", self.notes))
                skip = -layer if layer is not None and layer < 0 else None
                if skip == 1:
                    self.notes.append(
                        "The text encoders' last layer was used (-1), which is not possible here."
                    )
                    skip = None
            if "clip" not in node.inputs:
                return frozenset(seen), skip
            upstream = self.graph.follow(node.inputs["clip"])
        return None, skip


def _is_conditioning(graph: Graph, value: Any) -> bool:
    """Whether a link leads to a conditioning rather than a text."""
    upstream = graph.follow(value)
    if upstream is None:
        return False
    keys = upstream[0].inputs.keys()
    return bool(keys & {"clip", "conditioning", "conditioning_to", "conditioning_1", "positive", "text_g"})
