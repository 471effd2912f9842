"""ComfyUI: follows the graph back from the output that produced the image.

From the output along images and latents to the samplers: the first sampler gives the settings, later ones are
named in notes. From there along `model` to the checkpoint, through LoRAs, and along `positive` and `negative`
to the prompts. Nodes off these paths had no effect on the image; nodes on them without a counterpart here are
named in notes.

KSampler always runs all of its `steps`; with `denoise` below 1 its schedule is longer (comfy/samplers.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..infotext import steps_for
from . import comfyui_graph, comfyui_models, comfyui_values, values
from .comfyui_graph import Graph, GraphTooLargeError, Node, links
from .comfyui_prompts import Prompts
from .values import ForeignSettings

IMAGE_INPUTS = ("images", "image", "pixels", "samples", "latent_image", "latent", "latents",
                "optional_latent", "base_image", "image1", "image_1", "destination")  # fmt: skip
"""Inputs that carry images or latents, the likeliest first."""
OTHER_INPUTS = {
    "model", "clip", "vae", "positive", "negative", "conditioning", "control_net", "upscale_model",
    "mask", "noise", "guider", "sampler", "sigmas", "clip_vision", "ipadapter", "text", "prompt",
    "seed", "noise_seed", "steps", "cfg", "width", "height", "filename_prefix", "lora_stack",
    "bbox_detector", "sam_model_opt", "segm_detector_opt", "upscale_by", "scale_by", "factor",
    "optional_vae", "script", "segs",
}  # fmt: skip
PASSIVE = re.compile(
    r"^(VAE ?Decode|VAE ?Encode)( ?\(?Tiled\)?)?$|^(Save|Preview|Empty|LoadImage|Image ?Save|LatentFromBatch)"
    r"|^Repeat ?Latent|^Context",
    re.IGNORECASE,
)
"""Nodes on the image path that change nothing by themselves."""
DETAILERS = re.compile(r"detailer|UltimateSDUpscale|inpaint ?crop|face ?swap|reactor", re.IGNORECASE)


def read(prompt: object, workflow: object, size: tuple[int, int] | None = None) -> ForeignSettings:
    """The image's settings; `size` is its size in pixels, to find the output that it came from."""
    try:
        graph = comfyui_graph.read(prompt, workflow)
        return _read(graph, size) if graph else ForeignSettings()
    except GraphTooLargeError as error:
        return ForeignSettings("comfyui", {}, (f"The workflow inside is too large to be read ({error}).",))


def _read(graph: Graph, size: tuple[int, int] | None) -> ForeignSettings:
    notes: list[str] = []
    chain = _chain(graph, size, notes)
    if chain is None:
        return ForeignSettings(
            "comfyui", {}, ("The workflow inside has no sampler that leads to a picture.",)
        )
    samplers = [node for node in chain if _is_sampler(node)]
    first = _first_sampler(graph, samplers[0])
    settings = _sampler_settings(graph, first, notes)
    model = comfyui_models.of_sampler(graph, first, notes)
    prompts = Prompts.of_sampler(graph, first, notes)
    settings |= {
        "base_model": model.checkpoint,
        "loras": model.loras_with(prompts.clip),
        "clip_skip": prompts.clip_skip,
        "prompt": prompts.prompt,
        "negative_prompt": prompts.negative,
        "prompt_2": prompts.prompt_2,
    }
    _latents(graph, first, settings, notes)
    _later_passes(graph, chain, samplers, first, settings, model.checkpoint, notes)
    unused = sum(_is_sampler(node) for node in graph.nodes.values()) - len(samplers)
    if unused:
        notes.append(
            f"The workflow has {unused} more sampler(s), second passes or others, "
            "that do not lead to this picture."
        )
    if graph.ignored:
        notes.append(f"Not taken over from the workflow: {values.listed(graph.ignored)}.")
    return ForeignSettings("comfyui", values.known(settings, notes), tuple(dict.fromkeys(notes)))


def _chain(graph: Graph, size: tuple[int, int] | None, notes: list[str]) -> list[Node] | None:
    """The nodes from an output back to the start, output first; None without a sampler."""
    used = {str(value[0]) for node in graph.nodes.values() for _, value in links(node)}
    outputs = [
        node for node in graph.nodes.values() if not node.muted and node.id not in used and any(links(node))
    ]
    outputs += [
        node
        for node in graph.nodes.values()
        if not node.muted and node.id in used and _output_rank(node) == 2
    ]
    found: list[list[Node]] = []
    for end in sorted(outputs, key=_output_rank, reverse=True):
        chain = _history(graph, end)
        if any(_is_sampler(node) for node in chain):
            found.append(chain)
    best = [chain for chain in found if _output_rank(chain[0]) == _output_rank(found[0][0])]
    firsts = {next(node.id for node in chain if _is_sampler(node)): chain for chain in reversed(best)}
    if len(firsts) > 1 and size:
        same_size = {key: chain for key, chain in firsts.items() if _final_size(graph, chain) == size}
        firsts = same_size or firsts
    if len(firsts) > 1:
        notes.append(
            f"The workflow saves {len(firsts)} different pictures, and it is unclear which one this is; "
            "the settings of the first were taken."
        )
    return list(firsts.values())[-1] if firsts else None


def _output_rank(node: Node) -> int:
    kind = node.kind.casefold()
    if "save" in kind and any(key in node.inputs for key in ("images", "image", "pixels")):
        return 2
    return 1 if any(key in node.inputs for key in ("images", "image")) else 0


def _history(graph: Graph, start: Node) -> list[Node]:
    """All nodes upstream of `start` along images and latents, depth first."""
    order: dict[str, Node] = {}
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node.id in order:
            continue
        order[node.id] = node
        graph.visit()
        inputs = sorted(
            (
                (key, value)
                for key, value in links(node)
                if key not in OTHER_INPUTS and key not in comfyui_values.PIPES
            ),
            key=lambda each: IMAGE_INPUTS.index(each[0]) if each[0] in IMAGE_INPUTS else len(IMAGE_INPUTS),
        )
        upstream = [found[0] for _, value in inputs if (found := graph.follow(value))]
        waiting += reversed(upstream)
    return list(order.values())


def _is_sampler(node: Node) -> bool:
    """Whether the node samples latents. `DETAILERS`, which resample a finished image, do not count."""
    keys = node.inputs.keys()
    if DETAILERS.search(node.kind) or ("image" in keys and "latent_image" not in keys):
        return False
    if {"sampler", "sigmas"} <= keys or ({"sampler_name", "steps"} <= keys and "pipe" not in keys):
        return True
    return "ksampler" in node.kind.casefold() and any(pipe in keys for pipe in comfyui_values.PIPES)


def _first_sampler(graph: Graph, last: Node) -> Node:
    """The first sampler on the path that leads to `last`."""
    return [node for node in _history(graph, last) if _is_sampler(node)][-1]


def _sampler_settings(graph: Graph, node: Node, notes: list[str]) -> dict[str, Any]:
    """Steps, CFG, seed, sampler and schedule, which newer samplers take from separate nodes."""

    def at(value: Any) -> Node | None:
        upstream = graph.follow(value)
        return upstream[0] if upstream else None

    def number(owner: Node | None, *names: str) -> float | int | None:
        value = comfyui_values.input_of(graph, owner, *names) if owner else None
        return comfyui_values.number(graph, value, names[0], notes) if value is not None else None

    def name(owner: Node | None, key: str) -> str | None:
        names = (key, "sampler") if key == "sampler_name" else (key,)
        value = comfyui_values.input_of(graph, owner, key) if owner else None
        return comfyui_values.choice(graph, value, names, notes) if value is not None else None

    guider, noise, chooser = (at(node.inputs.get(key)) for key in ("guider", "noise", "sampler"))
    sigmas = at(node.inputs.get("sigmas"))
    for _ in range(20):
        if sigmas is None or "steps" in sigmas.inputs:
            break
        graph.ignored[sigmas.kind] = None
        sigmas = at(next((value for _, value in links(sigmas)), None))
    custom = "sigmas" in node.inputs
    steps_of = sigmas if custom else node
    sampler = name(chooser, "sampler_name") if custom else name(node, "sampler_name")
    if custom and chooser is not None and sampler is None:
        sampler = chooser.kind
    schedule = name(steps_of, "scheduler")
    if schedule is None and sigmas is not None:
        schedule = sigmas.kind.removesuffix("Scheduler")
    cfg = number(guider or node, "cfg", "cfg_conds")
    if guider is not None and cfg is None and "cfg" not in guider.inputs:
        cfg = 1.0  # BasicGuider samples without guidance
    if guider is not None and guider.kind not in ("CFGGuider", "BasicGuider"):
        graph.ignored[guider.kind] = None
    return {
        "steps": number(steps_of, "steps"),
        "cfg": cfg,
        "seed": number(
            noise or node, "noise_seed" if noise or "noise_seed" in node.inputs else "seed", "seed"
        ),
        "sampler": sampler,
        "schedule": schedule,
        "denoise": number(steps_of, "denoise"),
    }


def _latents(graph: Graph, first: Node, settings: dict[str, Any], notes: list[str]) -> None:
    """Size and denoising strength, from the nodes before the first sampler."""
    denoise = settings.pop("denoise", None)
    steps = settings.get("steps")
    start = comfyui_values.number(graph, first.inputs.get("start_at_step"), "start at step", notes)
    before = _history(graph, first)[1:]
    if not before and not any(key in first.inputs for key in IMAGE_INPUTS):
        before = [comfyui_values.pipe_end(graph, first)]
    scaled = False
    for node in before:
        if "width" not in settings and (sides := _sides(graph, node, notes)) and not scaled:
            settings["width"], settings["height"] = sides
        scaled = scaled or any(key in node.inputs for key in ("scale_by", "upscale_by", "megapixels"))
        batch = values.whole(node.inputs.get("batch_size"))
        if batch and batch > 1:
            notes.append(
                f"It may be one of a batch of {batch} from one seed; only the first can be reproduced."
            )
        if not PASSIVE.match(node.kind) and any(links(node)):
            graph.ignored[_label(graph, node)] = None
    from_image = any(
        re.match(r"VAE ?Encode|LoadImage|.*Inpaint", node.kind, re.IGNORECASE) for node in before
    )
    if isinstance(start, (int, float)) and isinstance(steps, (int, float)) and 0 < start < steps:
        # KSamplerAdvanced cuts the schedule in the same way as our img2img.
        settings["strength" if from_image else "_"] = round(1 - start / steps, 6)
        denoise = None
    if denoise is not None and 0 < denoise < 1:
        if from_image:
            settings["strength"] = denoise
            if isinstance(steps, (int, float)) and 0 < steps < 10_000:
                same = steps_for(int(steps), denoise)
                notes.append(
                    f"ComfyUI ran all {steps:g} steps at denoise {denoise:g}; here {same} steps at this "
                    "denoising strength run as many."
                )
        else:
            notes.append(
                f"It was sampled with denoise {denoise:g} from an empty latent, which is not possible here."
            )
    elif from_image and "strength" not in settings:
        settings["strength"] = 1.0
    if settings.pop("_", None) is not None:
        notes.append(
            f"It began at step {start:g} of {steps:g} from an empty latent, which is not possible here."
        )


def _sides(graph: Graph, node: Node, notes: list[str]) -> tuple[int, int] | None:
    for wide, high in (("width", "height"), ("empty_latent_width", "empty_latent_height")):
        if wide in node.inputs and high in node.inputs:
            sides = [comfyui_values.number(graph, node.inputs[key], key, notes) for key in (wide, high)]
            found = [values.whole(side) for side in sides]
            return (found[0], found[1]) if found[0] and found[1] else None
    preset = comfyui_values.preset_sides(node) if "latent" in node.kind.casefold() else None
    return (int(preset[0]), int(preset[1])) if preset and preset[0] and preset[1] else None


def _final_size(graph: Graph, chain: Iterable[Node]) -> tuple[int, int] | None:
    return next((sides for node in chain if (sides := _sides(graph, node, []))), None)


def _label(graph: Graph, node: Node) -> str:
    """Name of a node in notes: its class, and the model that it uses."""
    names = [values.model_path(value) for value in node.inputs.values()
             if isinstance(value, str) and value.lower().endswith(values.MODEL_ENDINGS)]  # fmt: skip
    for key in ("upscale_model", "control_net", "ipadapter"):
        upstream = graph.follow(node.inputs.get(key))
        if upstream:
            names += [
                values.model_path(value) for value in upstream[0].inputs.values() if isinstance(value, str)
            ]
    shown = ", ".join(name for name in names[:3] if name)
    return f"{values.shown(node.kind)} ({values.shown(shown)})" if shown else values.shown(node.kind)


def _later_passes(
    graph: Graph,
    chain: list[Node],
    samplers: list[Node],
    first: Node,
    settings: dict[str, Any],
    checkpoint: str | None,
    notes: list[str],
) -> None:
    """Steps after the first sampler: a refiner is taken over, anything else named in notes."""
    later = [node for node in samplers if node.id != first.id]
    known = {node.id for node in later} | {node.id for node in _history(graph, first)}
    for node in chain[1:]:
        if node.id in known or PASSIVE.match(node.kind) or not any(links(node)):
            continue
        graph.ignored[_label(graph, node)] = None
    end = comfyui_values.number(graph, first.inputs.get("end_at_step"), "end at step", notes)
    steps = settings.get("steps")
    cut = isinstance(end, (int, float)) and isinstance(steps, (int, float)) and 0 < end < steps
    if cut and len(later) == 1:
        second = comfyui_models.of_sampler(graph, later[0], [])
        begins = values.number(later[0].inputs.get("start_at_step"))
        if second.checkpoint and second.checkpoint != checkpoint and begins == end:
            settings |= {
                "second_pass_model": second.checkpoint,
                "second_pass_mode": "refiner",
                "refiner_switch": round(end / steps, 6),  # type: ignore[operator]  # numbers, as `cut` says
            }
            return
    if cut and not later:
        notes.append(f"It was stopped at step {end:g} of {steps:g}, which is not possible here.")
    for node in later[:5]:
        again = _sampler_settings(graph, node, [])
        shown = [
            f"{key} {again[key]}"
            for key in ("steps", "cfg", "sampler", "denoise")
            if again.get(key) is not None
        ]
        notes.append(
            f"A second sampler, {values.shown(node.kind)} ({', '.join(shown)}), resampled the picture; "
            "only the settings of the first were taken."
        )
    if len(later) > 5:
        notes.append(f"{len(later) - 5} more samplers resampled it.")
