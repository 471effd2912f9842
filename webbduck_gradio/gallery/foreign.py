"""Pictures of other tools, told in our vocabulary: A1111, Forge, SD.Next, Fooocus, InvokeAI, ComfyUI,
SwarmUI, NovelAI.

sd-parsers takes most of them apart; A1111's text is read by our own `infotext`, which keeps quoted values,
and SwarmUI's JSON here, because sd-parsers does not know it. The answers are what the tool wrote, not checked
against anything: names of checkpoints without folder and ending, samplers by the tool's own names.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from sd_parsers.data import PromptInfo
from sd_parsers.parsers import ComfyUIParser, FooocusParser, InvokeAIParser, NovelAIParser, Parser

from . import infotext

log = logging.getLogger(__name__)

PARSERS: dict[str, type[Parser]] = {
    "comfyui": ComfyUIParser,
    "invokeai": InvokeAIParser,
    "novelai": NovelAIParser,
}
MODEL_ENDINGS = (".safetensors", ".ckpt", ".gguf", ".pt", ".pth")
LORA_HASH = re.compile(r"\s*([^,:]+): ([0-9a-fA-F]{8,64})")
COMBINED_LORA = re.compile(r"^(.*) : (-?[\d.]+)$")


def read(texts: Mapping[str, str]) -> tuple[str | None, dict[str, Any]]:
    """The tool and its settings from a picture's text chunks; (None, {}) where nothing is understood.

    Keys as in `GenerationRequest`, as far as the tool tells, plus `schedule` (the schedule type, where the
    tool names it apart from the sampler), `model_hash`, `lora_hashes` (by name), and `clip_skip` as A1111
    counts it. Never raises.
    """
    try:
        parameters = texts.get("parameters")
        if parameters is not None:
            return _parameters(parameters)
        for tool, parser in PARSERS.items():
            info = _parse(parser, texts)
            if info is not None and info.samplers:
                return tool, _known(_extras(tool, texts, info) | _from_sampler(info))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        # Other programs write what they like; that is no reason to hide the picture.
        log.info("metadata of another tool could not be read: %r", error)
    return None, {}


def _parameters(text: str) -> tuple[str | None, dict[str, Any]]:
    if text.lstrip().startswith("{"):
        data = json.loads(text)
        if isinstance(data.get("sui_image_params"), dict):
            return "swarmui", _known(_swarmui(data))
        info = _parse(FooocusParser, {"parameters": text})
        return ("fooocus", _known(_fooocus(data) | _from_sampler(info))) if info else (None, {})
    parsed = infotext.parse(text)
    if not parsed.fields:
        return None, {}
    version = parsed.fields.get("Version", "")
    tool = "webbduck" if version.startswith("WebbDuck") else "fooocus" if "Fooocus" in version else "a1111"
    return tool, _known(_a1111(parsed))


def _a1111(parsed: infotext.Infotext) -> dict[str, Any]:
    fields = parsed.fields
    prompt, loras = infotext.lora_tags(parsed.prompt)
    return {
        "prompt": prompt,
        "negative_prompt": parsed.negative_prompt,
        "steps": fields.get("Steps"),
        "scheduler": fields.get("Sampler"),
        "schedule": fields.get("Schedule type"),
        "cfg": fields.get("CFG scale"),
        "seed": fields.get("Seed"),
        "width": fields.get("Size-1"),
        "height": fields.get("Size-2"),
        "base_model": fields.get("Model"),
        "model_hash": fields.get("Model hash"),
        "strength": fields.get("Denoising strength"),
        "clip_skip": fields.get("Clip skip"),
        "second_pass_model": fields.get("Refiner"),
        "refiner_switch": fields.get("Refiner switch at"),
        "emphasis": "none" if fields.get("Emphasis") == "No norm" else None,
        **infotext.inpainting(fields),
        "loras": [{"name": name, "weight": weight} for name, weight in loras],
        "lora_hashes": dict(LORA_HASH.findall(fields.get("Lora hashes", ""))) or None,
        **_hires(fields),
    }


def _hires(fields: Mapping[str, str]) -> dict[str, Any]:
    """The hires fix: its denoising strength is not img2img's. At the same size it is our second pass."""
    if not any(name.startswith("Hires") for name in fields):
        return {}
    if fields.get("Hires upscale") != "1" or "Hires checkpoint" not in fields:
        return {"strength": None}
    return {
        "strength": None,
        "second_pass_model": fields["Hires checkpoint"],
        "second_pass_mode": "img2img",
        "second_pass_steps": fields.get("Hires steps"),
        "refinement_strength": fields.get("Denoising strength"),
    }


def _from_sampler(info: PromptInfo) -> dict[str, Any]:
    """What sd-parsers tells of the first sampler; nothing for what it does not tell."""
    sampler = info.samplers[0]
    own = {**info.metadata, **sampler.parameters}  # of NovelAI's it takes only some for parameters
    model = sampler.model if sampler.model and isinstance(sampler.model.name, str) else None
    settings = {
        "prompt": ", ".join(str(prompt) for prompt in sampler.prompts),
        "negative_prompt": ", ".join(str(prompt) for prompt in sampler.negative_prompts),
        "steps": own.get("steps"),
        "scheduler": sampler.name,
        "schedule": own.get("scheduler"),
        "cfg": own.get("cfg_scale", own.get("scale")),
        "seed": own.get("seed", own.get("noise_seed")),
        "base_model": model.name if model else None,
        "model_hash": model.hash if model else None,
    }
    return {key: value for key, value in settings.items() if value is not None}


def _extras(tool: str, texts: Mapping[str, str], info: PromptInfo) -> dict[str, Any]:
    """Sizes and LoRAs, which sd-parsers leaves in the tool's own form."""
    if tool == "comfyui":
        return _comfyui(json.loads(texts["prompt"]).values())
    left = info.metadata
    loras = []
    for entry in left.get("loras") or ():
        model = entry.get("model") or entry.get("lora") or {}
        loras.append({"name": model.get("name") or model.get("model_name"), "weight": entry.get("weight")})
    return {"width": left.get("width"), "height": left.get("height"), "strength": left.get("strength"),
            "loras": loras, **_invoke_model(texts)}  # fmt: skip


def _invoke_model(texts: Mapping[str, str]) -> dict[str, Any]:
    # InvokeAI 4 and later call the model's name "name"; sd-parsers knows "model_name" alone.
    model = json.loads(texts.get("invokeai_metadata", "{}")).get("model") or {}
    return {"base_model": model.get("name"), "model_hash": model.get("hash")}


def _comfyui(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"loras": []}
    for node in nodes:
        inputs = node.get("inputs") or {}
        if isinstance(inputs.get("ckpt_name"), str):
            # sd-parsers stops at a LoRA on the way and takes its link for the name.
            found.setdefault("base_model", inputs["ckpt_name"])
        if isinstance(inputs.get("lora_name"), str):
            weight = inputs.get("strength_model", 1.0)
            found["loras"].append({"name": inputs["lora_name"], "weight": weight})
        if "batch_size" in inputs and isinstance(inputs.get("width"), int):
            found |= {"width": inputs["width"], "height": inputs.get("height")}
    return found


def _fooocus(data: Mapping[str, Any]) -> dict[str, Any]:
    size = re.findall(r"\d+", str(data.get("resolution", "")))
    loras = []
    for key, value in data.items():
        match = COMBINED_LORA.match(str(value)) if key.startswith("lora_combined_") else None
        if match:
            loras.append({"name": match[1], "weight": match[2]})
    for entry in data.get("loras") or ():
        loras.append({"name": entry[0], "weight": entry[1]})
    width, height = size[:2] if len(size) >= 2 else (None, None)
    return {"width": width, "height": height, "loras": loras, "second_pass_model": data.get("refiner_model")}


def _swarmui(data: Mapping[str, Any]) -> dict[str, Any]:
    own = data["sui_image_params"]
    hashes = {model.get("param"): model.get("hash") for model in data.get("sui_models") or ()}
    names, weights = own.get("loras") or [], own.get("loraweights") or []
    if isinstance(names, str):
        names, weights = names.split(","), str(weights or "").split(",")
    return {
        "prompt": own.get("prompt"),
        "negative_prompt": own.get("negativeprompt"),
        "steps": own.get("steps"),
        "scheduler": own.get("sampler"),
        "schedule": own.get("scheduler"),
        "cfg": own.get("cfgscale"),
        "seed": own.get("seed"),
        "width": own.get("width"),
        "height": own.get("height"),
        "base_model": own.get("model"),
        "model_hash": (hashes.get("model") or "").removeprefix("0x") or None,
        "strength": own.get("initimagecreativity") or None,
        "loras": [
            {"name": name, "weight": weights[place] if place < len(weights) else 1.0}
            for place, name in enumerate(names)
        ],
    }


def _parse(parser: type[Parser], texts: Mapping[str, str]) -> PromptInfo | None:
    try:
        return parser().parse(dict(texts))
    except Exception as error:  # ParserError where it is another tool's; anything at all on odd input
        log.debug("%s: %r", parser.__name__, error)
        return None


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    """What the tool did tell, numbers as numbers, names without folder and ending."""
    whole = (
        "steps",
        "seed",
        "width",
        "height",
        "clip_skip",
        "second_pass_steps",
        "mask_blur",
        "inpaint_padding",
    )
    for key in whole:
        settings[key] = _number(settings.get(key), int)
    for key in ("cfg", "strength", "refiner_switch", "refinement_strength"):
        settings[key] = _number(settings.get(key), float)
    for key in ("base_model", "second_pass_model"):
        settings[key] = _plain_name(settings.get(key))
    settings["loras"] = [
        {"name": name, "weight": _number(lora.get("weight"), float)}
        for lora in settings.get("loras") or ()
        if (name := _plain_name(lora.get("name")))
    ]
    return {key: value for key, value in settings.items() if value not in (None, [], "None")}


def _number(value: object, kind: type[int] | type[float]) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return kind(value)
    except (ValueError, OverflowError):
        return None


def _plain_name(name: object) -> str | None:
    if not isinstance(name, str) or not name.strip() or name == "None":
        return None
    plain = PurePosixPath(name.replace("\\", "/")).name
    return next((plain[: -len(end)] for end in MODEL_ENDINGS if plain.lower().endswith(end)), plain)
