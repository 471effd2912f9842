"""InvokeAI: `invokeai_metadata` (3 and later), `sd-metadata` (2), `Dream` (1, a command line).

Sources: InvokeAI invokeai/app/invocations/metadata.py, compel.py (the style prompt is for the second text
encoder; if empty, the prompt is used), ldm/invoke/args.py of version 2.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from . import values
from .values import ForeignSettings

ADAPTERS = {
    "controlnets": "ControlNet", "ipAdapters": "IP-Adapter", "t2iAdapters": "T2I-Adapter",
    "control_layers": "control layers", "regions": "regions", "ref_images": "reference pictures",
    "canvas_v2_metadata": "layers of the canvas",
}  # fmt: skip
OTHERS = ("vae", "hrf_enabled", "hrf_strength", "hrf_method", "seamless_x", "seamless_y",
          "cfg_rescale_multiplier",
          "refiner_cfg_scale", "refiner_steps", "refiner_scheduler", "clip_skip", "style_preset",
          "z_image_seed_variance_enabled")  # fmt: skip


def read(texts: Mapping[str, Any]) -> ForeignSettings:
    """The settings of the newest InvokeAI chunk present."""
    data = values.json_value(texts.get("invokeai_metadata"))
    if isinstance(data, dict):
        return _version_3(data)
    data = values.json_value(texts.get("sd-metadata"))
    if isinstance(data, dict):
        return _version_2(data)
    return _version_1(values.text(texts.get("Dream"))) if texts.get("Dream") else ForeignSettings()


def _version_3(data: Mapping[str, Any]) -> ForeignSettings:
    notes: list[str] = []
    model = values.table(data.get("model"))
    prompt, negative = values.text(data.get("positive_prompt")), values.text(data.get("negative_prompt"))
    style, negative_style = (
        values.text(data.get(f"{side}_style_prompt")) for side in ("positive", "negative")
    )
    if negative_style.strip() and negative_style.strip() != negative.strip():
        notes.append(
            f"The negative style prompt was left out; here both encoders get one: "
            f"{values.shown(negative_style)}."
        )
    settings = {
        **values.single_keys("invokeai", data),
        "prompt": prompt,
        "negative_prompt": negative,
        "prompt_2": style if style.strip() and style.strip() != prompt.strip() else None,
        "sampler": data.get("scheduler"),
        "base_model": _model_name(data.get("model")),
        "model_hash": _hash(model.get("hash")),
        "loras": _loras(data.get("loras"), notes),
        **_refiner(data),
    }
    _note_ignored(data, notes)
    if not any(value for value in settings.values()):
        return ForeignSettings()
    return ForeignSettings("invokeai", values.known(settings, notes), tuple(notes))


def _model_name(model: object) -> str | None:
    """Model name: key "name" in version 4 and later, "model_name" in 3, plain text before."""
    if isinstance(model, dict):
        model = model.get("name") or model.get("model_name")
    return model if isinstance(model, str) else None


def _hash(value: object) -> str | None:
    """The hash if it is SHA-256; newer versions use BLAKE3, which cannot be compared with ours."""
    text = values.text(value)
    return text if re.fullmatch(r"[0-9a-fA-F]{8,64}", text) else None


def _loras(value: object, notes: list[str]) -> list[dict[str, Any]]:
    found = []
    for entry in values.rows(value):
        entry = values.table(entry)
        name = _model_name(entry.get("model") or entry.get("lora") or entry.get("model_name"))
        if entry.get("isEnabled") is False or entry.get("is_enabled") is False:
            continue
        if name is None:
            notes.append("A LoRA without a name was left out.")
            continue
        weight = entry.get("weight")
        found.append({"name": name, "weight": 0.75 if weight is None else weight})
        if weight is None:
            notes.append(
                f"The weight of the LoRA {values.shown(name)} is not recorded; InvokeAI's default of 0.75 "
                "was taken."
            )
    return found


def _refiner(data: Mapping[str, Any]) -> dict[str, Any]:
    model = _model_name(data.get("refiner_model"))
    if model is None:
        return {}
    return {
        "second_pass_model": model,
        "second_pass_mode": "refiner",
        "refiner_switch": data.get("refiner_start"),
    }


def _note_ignored(data: Mapping[str, Any], notes: list[str]) -> None:
    left = []
    for key, what in ADAPTERS.items():
        value = data.get(key)
        if not value:
            continue
        names = [_adapter(entry) for entry in values.rows(value)[:8]]
        names = [name for name in names if name]
        left.append(f"{what} ({', '.join(names)})" if names else what)
    for key in OTHERS:
        value = data.get(key)
        if value in (None, False, 0, "", []) or (
            key.startswith("refiner_") and not data.get("refiner_model")
        ):
            continue
        plain = _model_name(value) if isinstance(value, dict) else value
        left.append(f"{key.replace('_', ' ')} {values.shown(plain)}")
    if left:
        notes.append(f"Not taken over from InvokeAI: {values.listed(left)}.")


def _adapter(entry: object) -> str:
    entry = values.table(entry)
    model = next((entry[key] for key in entry if str(key).endswith("model")), None)
    return values.shown(_model_name(model) or "", 40)


def _version_2(data: Mapping[str, Any]) -> ForeignSettings:
    notes: list[str] = []
    image = values.table(data.get("image"))
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        parts = [values.table(part) for part in prompt]
        if len(parts) > 1:
            notes.append("It was made from several weighted prompts; they were concatenated.")
        prompt = " ".join(values.text(part.get("prompt")) for part in parts)
    words, negative = _brackets(values.text(prompt))
    sampler = values.text(image.get("sampler"))
    settings = {
        "prompt": words,
        "negative_prompt": negative,
        "steps": image.get("steps"),
        "sampler": sampler or None,
        "cfg": image.get("cfg_scale"),
        "seed": image.get("seed"),
        "width": image.get("width"),
        "height": image.get("height"),
        "base_model": data.get("model_weights"),
        "model_hash": _hash(data.get("model_hash")),
        "strength": image.get("strength") if image.get("type") == "img2img" else None,
    }
    others = ("postprocessing", "variations", "perlin", "threshold")
    left = [f"{key} {values.shown(image[key])}" for key in others if image.get(key)]
    if left:
        notes.append(f"Not taken over from InvokeAI: {', '.join(left)}.")
    return (
        ForeignSettings("invokeai", values.known(settings, notes), tuple(notes))
        if image
        else ForeignSettings()
    )


def _brackets(prompt: str) -> tuple[str, str]:
    """Split off the negative prompt, which version 2 wrote into the prompt in square brackets."""
    negative = re.findall(r"\[([^\[\]]{1,2000})\]", prompt)
    return re.sub(r"\[[^\[\]]{1,2000}\]", "", prompt).strip(), ", ".join(negative)


def _version_1(line: str) -> ForeignSettings:
    """Version 1: '"a duck" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms'."""
    try:
        words = shlex.split(line) if len(line) <= 20_000 else []
    except ValueError:
        return ForeignSettings()
    if not words:
        return ForeignSettings()
    notes: list[str] = []
    options = {words[at][:2]: words[at][2:] or (words[at + 1] if at + 1 < len(words) else "")
               for at in range(1, len(words)) if re.match(r"-[A-Za-z]", words[at])}  # fmt: skip
    prompt, negative = _brackets(words[0])
    sampler = options.get("-A", "")
    settings = {
        "prompt": prompt,
        "negative_prompt": negative,
        "steps": options.get("-s"),
        "seed": options.get("-S"),
        "width": options.get("-W"),
        "height": options.get("-H"),
        "cfg": options.get("-C"),
        "sampler": sampler or None,
        "strength": options.get("-f"),
    }
    return ForeignSettings("invokeai", values.known(settings, notes), tuple(notes))
