"""SwarmUI: JSON under `sui_image_params`, in the chunk `parameters` or the UserComment.

Sources: SwarmUI docs "Image Metadata Format", "Prompt Syntax", "Basic Usage" (refiner).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import values
from .values import ForeignSettings

_SECTION = re.compile(r"<(segment|object|region|refiner|video|videoswap|extend|base|clear)\b([^<>]{0,500})>")
_TAG = re.compile(r"<([a-z]{2,20})(?:\[[^\]<>]{0,100}\])?[:>]")
SECTIONS = {"segment", "object", "region", "refiner", "video", "videoswap", "extend"}
"""Text after such a tag is the prompt of a region or a later pass, not of the image."""
TAKEN = {
    "prompt", "negativeprompt", "steps", "sampler", "scheduler", "cfgscale", "seed", "width", "height",
    "model", "initimagecreativity", "loras", "loraweights", "clipstopatlayer", "refinermodel",
    "refinercontrolpercentage", "refinermethod", "refinersteps",
}  # fmt: skip
IGNORED = {
    "aspectratio", "sidelength", "images", "batchsize", "swarm_version", "date", "generation_time",
    "personalnote", "donotsave", "automaticvae", "original_prompt", "original_negativeprompt",
    "loratencweights", "lorasectionconfinement", "saveintermediateimages", "modelspecificenhancements",
    "internalbackendtype",
}  # fmt: skip

UPSCALE_METHODS = {
    "pixel-lanczos": "Lanczos",
    "latent-bilinear": "Latent",
    "latent-bicubic": "Latent (bicubic)",
    "latent-nearest-exact": "Latent (nearest-exact)",
}
"""SwarmUI's ways to enlarge the picture before its refiner; those by a model are called "model-FILE"."""


def read(data: Mapping[str, Any]) -> ForeignSettings:
    """The settings of `sui_image_params`."""
    own = {str(key).casefold(): value for key, value in values.table(data.get("sui_image_params")).items()}
    if not own:
        return ForeignSettings()
    notes: list[str] = []
    prompt, loras = _prompt(own.get("prompt"), "prompt", notes)
    negative, _ = _prompt(own.get("negativeprompt"), "negative prompt", notes)
    settings = {
        **values.single_keys("swarmui", own),
        "prompt": prompt,
        "negative_prompt": negative,
        "sampler": own.get("sampler"),
        "schedule": own.get("scheduler"),
        "model_hash": _model_hash(data),
        "strength": values.number(own.get("initimagecreativity")) or None,
        "clip_skip": _clip_skip(own.get("clipstopatlayer"), notes),
        "loras": _loras(own, notes) + loras,
        **_refiner(own, notes),
    }
    left = [f"{key} {values.shown(value, 40)}" for key, value in own.items()
            if key not in TAKEN | IGNORED and value not in (None, "", False, [], 0)]  # fmt: skip
    if left:
        notes.append(f"Not taken over from SwarmUI: {values.listed(left)}.")
    return ForeignSettings("swarmui", values.known(settings, notes), tuple(notes))


def _prompt(value: object, which: str, notes: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """The main part of a prompt, without LoRA tags, and the LoRAs; other tags are named in notes."""
    words, keep, at = values.text(value), True, 0
    parts: list[str] = []
    left: list[str] = []
    for tag in _SECTION.finditer(words):
        part = words[at : tag.start()]
        (parts if keep else left).append(part)
        if tag[1] in SECTIONS:
            keep = False
            left.append(tag[0])
        elif tag[1] in ("base", "clear"):
            keep = True
        at = tag.end()
    # The text after the last tag belongs to that tag's section.
    (parts if keep else left).append(words[at:])
    if left:
        notes.append(
            f"Left out of the {which}, as it has no counterpart here: {values.shown(''.join(left), 200)}."
        )
    words, loras, tag_notes = values.lora_tags("".join(parts).strip())
    notes += tag_notes
    tags = sorted({tag[1] for tag in _TAG.finditer(words)})
    if tags:
        shown = ", ".join(f"<{tag}:...>" for tag in tags[:8])
        notes.append(f"The {which} contains SwarmUI's {shown}, which are plain text here.")
    return words, loras


def _model_hash(data: Mapping[str, Any]) -> str | None:
    for model in values.rows(data.get("sui_models")):
        if values.table(model).get("param") == "model":
            return values.text(model.get("hash")).removeprefix("0x") or None
    return None


def _clip_skip(layer: object, notes: list[str]) -> int | None:
    """SwarmUI counts from the end, and -2 is SDXL's default layer; A1111 uses the same number, positive."""
    stop = values.whole(layer)
    if stop == -1:
        notes.append(
            "It used the text encoders' last layer (clipstopatlayer -1), which is not possible here."
        )
        return None
    return -stop if stop is not None and stop < 0 else None


def _loras(own: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    def listed(key: str) -> list[Any]:
        value = own.get(key)
        return value.split(",") if isinstance(value, str) and value.strip() else values.rows(value)

    names, weights, encoders = listed("loras"), listed("loraweights"), listed("loratencweights")
    confined = listed("lorasectionconfinement")
    found = []
    for index, name in enumerate(names[: values.MAX_LORAS + 1]):
        weight = weights[index] if index < len(weights) else 1.0
        if index < len(confined) and values.whole(confined[index]) not in (None, 0, -1):
            notes.append(f"The LoRA {values.shown(name)} applied to one part or pass only and was left out.")
            continue
        own_encoders = encoders[index] if index < len(encoders) else weight
        own_weight = values.number(own_encoders)
        differs = own_weight is not None and own_weight != values.number(weight)
        found.append({"name": name, "weight": weight, **({"te_weight": own_weight} if differs else {})})
    return found


def _refiner(own: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """SwarmUI's refiner: PostApply is an img2img pass over the finished image, StepSwap a change of models.

    PostApply runs the last `refinercontrolpercentage` of the steps, like our second pass with that strength.
    """
    share = values.number(own.get("refinercontrolpercentage"))
    model = own.get("refinermodel")
    upscale = values.number(own.get("refinerupscale")) or 1
    if share is None or not 0 < share <= 1:
        if model:
            notes.append(
                f"The refiner {values.shown(model)} was left out: its share of the steps is not recorded."
            )
        return {}
    method = values.text(own.get("refinermethod")) or "PostApply"
    is_swap = method.casefold().startswith("stepswap")
    if not is_swap and 1 < upscale <= 4:
        return _hires(own, upscale, share, notes)
    if upscale != 1:
        notes.append(
            f"Not taken over: SwarmUI's refiner upscaled the picture {upscale:g} times and resampled it "
            f"(share {share:g}, method {values.shown(method)})."
        )
        return {}
    if not isinstance(model, str) or model.startswith("(") or not model:
        model = own.get("model")
    if is_swap:
        return {
            "second_pass_model": model,
            "second_pass_mode": "refiner",
            "refiner_switch": round(1 - share, 6),
        }
    notes.append("SwarmUI's refiner is taken over as the second pass, an img2img pass over the picture.")
    return {
        "second_pass_model": model,
        "second_pass_mode": "img2img",
        "second_pass_steps": own.get("refinersteps") or own.get("steps"),
        "refinement_strength": share,
    }


def _hires(own: Mapping[str, Any], scale: float, share: float, notes: list[str]) -> dict[str, Any]:
    """PostApply with a larger size, as the hires pass, whose steps are those that are drawn."""
    steps = values.whole(own.get("refinersteps")) or values.whole(own.get("steps")) or 0
    model = own.get("refinermodel")
    method = values.text(own.get("refinerupscalemethod")) or "pixel-lanczos"
    upscaler = UPSCALE_METHODS.get(
        method, method.removeprefix("model-") if method.startswith("model-") else None
    )
    notes.append("SwarmUI's refiner is taken over as the hires pass.")
    if upscaler is None:
        notes.append(f"There is no upscaler {values.shown(method)} here; the chosen one stays.")
    return {
        "hires_scale": scale,
        "hires_strength": share,
        "hires_steps": max(1, steps - round(steps * (1 - share))) if steps else None,
        "hires_model": model if isinstance(model, str) and model and not model.startswith("(") else None,
        "hires_cfg": own.get("refinercfgscale"),
        "hires_upscaler": upscaler,
    }
