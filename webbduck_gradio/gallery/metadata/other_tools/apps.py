"""Draw Things (JSON in XMP or EXIF) and Easy Diffusion (chunks or JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import values
from .values import ForeignSettings

EASY_DIFFUSION = {
    "prompt": ("prompt", "Prompt"),
    "negative_prompt": ("negative_prompt", "Negative Prompt"),
    "steps": ("num_inference_steps", "Steps"),
    "cfg": ("guidance_scale", "Guidance Scale"),
    "seed": ("seed", "Seed"),
    "width": ("width", "Width"),
    "height": ("height", "Height"),
    "sampler": ("sampler_name", "Sampler"),
    "schedule": ("scheduler_name", "Scheduler"),
    "base_model": ("use_stable_diffusion_model", "Stable Diffusion model"),
    "strength": ("prompt_strength", "Prompt Strength"),
}
EASY_DIFFUSION_OTHERS = ("use_vae_model", "use_hypernetwork_model", "use_controlnet_model", "use_upscale",
                         "use_face_correction", "use_embeddings_model", "tiling", "clip_skip",
                         "VAE model", "Hypernetwork model", "ControlNet model", "Use Upscaling",
                         "Use Face Correction", "Clip Skip", "Seamless Tiling")  # fmt: skip
DRAW_THINGS_OTHERS = ("control", "controls", "refinerModel", "hiresFix", "upscaler", "faceRestoration")


def easy_diffusion(data: Mapping[str, Any]) -> ForeignSettings:
    """Easy Diffusion's settings, by the names of its API or of its page."""
    if not ("num_inference_steps" in data or ("Negative Prompt" in data and "Steps" in data)):
        return ForeignSettings()
    notes: list[str] = []
    found = {
        key: next((data[name] for name in names if data.get(name) not in (None, "", "None", "null")), None)
        for key, names in EASY_DIFFUSION.items()
    }
    img2img = bool(data.get("init_image") or data.get("Init Image"))
    sampler = values.text(found["sampler"])
    settings: dict[str, Any] = {
        **found,
        "prompt": values.text(found["prompt"]),
        "negative_prompt": values.text(found["negative_prompt"]),
        "sampler": sampler or None,
        "strength": found["strength"] if img2img else None,
        "loras": _loras(
            data.get("use_lora_model", data.get("LoRA model")),
            data.get("lora_alpha", data.get("LoRA Strength")),
        ),
    }
    ignored = [f"{key} {values.shown(data[key])}" for key in EASY_DIFFUSION_OTHERS
            if data.get(key) not in (None, "", "None", False, "False", "null", [], "none", "[]")]  # fmt: skip
    if ignored:
        notes.append(f"Not taken over from Easy Diffusion: {values.listed(ignored)}.")
    return ForeignSettings("easydiffusion", values.known(settings, notes), tuple(notes))


def _loras(names: object, weights: object) -> list[dict[str, Any]]:
    """LoRAs given as text, as a list, or as a list in text."""

    def as_list(value: object) -> list[Any]:
        if isinstance(value, str) and value.strip().startswith("["):
            value = values.json_value(value.replace("'", '"'))
        return value if isinstance(value, list) else [value] if value not in (None, "", "None") else []

    listed, each = as_list(names), as_list(weights)
    return [
        {"name": name, "weight": each[index] if index < len(each) else 1.0}
        for index, name in enumerate(listed)
    ]


def draw_things(data: Mapping[str, Any]) -> ForeignSettings:
    """Draw Things' JSON: short names, and full names under "v2"."""
    notes: list[str] = []
    more = values.table(data.get("v2"))
    sides = values.text(data.get("size")).partition("x")
    strength = values.number(data.get("strength", more.get("strength")))
    loras = values.rows(data.get("lora") or more.get("loras"))
    settings = {
        "prompt": values.text(data.get("c")),
        "negative_prompt": values.text(data.get("uc")),
        "steps": data.get("steps", more.get("steps")),
        "sampler": data.get("sampler"),
        "cfg": data.get("scale", more.get("guidanceScale")),
        "seed": data.get("seed", more.get("seed")),
        "width": sides[0] or more.get("width"),
        "height": sides[2] or more.get("height"),
        "base_model": data.get("model", more.get("model")),
        # 1 means txt2img
        "strength": strength if strength is not None and strength < 1 else None,
        "loras": [
            {"name": values.table(lora).get("model", values.table(lora).get("file")),
             "weight": values.table(lora).get("weight", 1.0)}
            for lora in loras
        ],
    }  # fmt: skip
    ignored = [f"{key} {values.shown(value)}" for key, value in
            ((key, data.get(key, more.get(key))) for key in DRAW_THINGS_OTHERS)
            if value not in (None, "", False, [], 0)]  # fmt: skip
    if ignored:
        notes.append(f"Not taken over from Draw Things: {values.listed(ignored)}.")
    return ForeignSettings("drawthings", values.known(settings, notes), tuple(notes))
