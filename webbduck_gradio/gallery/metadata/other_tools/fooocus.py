"""Fooocus: JSON (its scheme "fooocus"); its scheme "a1111" is read by `a1111`.

Source: Fooocus modules/meta_parser.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import values
from .values import ForeignSettings

_COMBINED = re.compile(r"(.{1,255}) : (-?[\d.]{1,12})")
DEFAULTS = {
    "adm_guidance": ("(1.5, 0.8, 0.3)",), "sharpness": ("2", "2.0"), "adaptive_cfg": ("7", "7.0"),
    "vae": ("Default (model)",), "refiner_swap_method": ("joint",), "overwrite_switch": ("-1",),
    "styles": ("[]",), "inpaint_engine_version": ("None",), "inpaint_method": ("None",),
}  # fmt: skip
"""Default values; other values of these keys are named in a note."""
OTHER_NAMES = {
    "Prompt": "prompt",
    "Negative": "negative_prompt",
    "cfg": "guidance_scale",
    "sampler_name": "sampler",
    "base_model_name": "base_model",
}
"""RuinedFooocus' names -> Fooocus' names."""
NOTED = {*DEFAULTS, "freeu", "style"}


def read(data: Mapping[str, Any]) -> ForeignSettings:
    """The settings of Fooocus' JSON."""
    notes: list[str] = []
    data = {**data, **{ours: data[key] for key, ours in OTHER_NAMES.items() if key in data}}
    prompt, tagged, tag_notes = values.lora_tags(values.text(data.get("prompt")))
    notes += tag_notes
    width, height = _size(data.get("resolution") or [data.get("width"), data.get("height")])
    settings = {
        **values.single_keys("fooocus", data),
        "prompt": prompt,
        "negative_prompt": values.text(data.get("negative_prompt")),
        "sampler": data.get("sampler"),
        "schedule": data.get("scheduler"),
        "width": width,
        "height": height,
        "model_hash": data.get("base_model_hash"),
        "loras": _loras(data) + tagged,
        "lora_hashes": _hashes(data) or None,
        **_refiner(data),
    }
    ignored = [
        f"{key.replace('_', ' ')} {_joined(value) if isinstance(value, list) else values.shown(value, 80)}"
        for key, value in data.items()
        if key in NOTED and value not in (None, "", [])
        and values.shown(value, 80) not in DEFAULTS.get(key, ())
        and (key != "refiner_swap_method" or "second_pass_model" in settings)
    ]  # fmt: skip
    if ignored:
        notes.append(f"Not taken over, since there is nothing like it here: {values.listed(ignored)}.")
    return ForeignSettings("fooocus", values.known(settings, notes), tuple(notes))


def _joined(entries: list[Any]) -> str:
    return values.shown(", ".join(values.shown(entry, 30) for entry in entries[:20]), 80)


def _size(resolution: object) -> tuple[Any, Any]:
    """'(896, 1152)', '896x1152', or [896, 1152]."""
    sides = resolution if isinstance(resolution, list) else re.findall(r"\d{1,5}", values.shown(resolution))
    return (sides[0], sides[1]) if len(sides) >= 2 else (None, None)


def _loras(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """LoRAs from both fields; duplicates are removed by `values.known`."""
    found = []
    for key, value in data.items():
        match = (
            _COMBINED.fullmatch(value)
            if str(key).startswith("lora_combined_") and isinstance(value, str)
            else None
        )
        if match:
            found.append({"name": match[1], "weight": match[2]})
    for entry in values.rows(data.get("loras")):
        if isinstance(entry, list) and len(entry) >= 2:
            found.append({"name": entry[0], "weight": entry[1]})
    return found


def _hashes(data: Mapping[str, Any]) -> dict[str, str]:
    entries = (
        entry for entry in values.rows(data.get("loras")) if isinstance(entry, list) and len(entry) >= 3
    )
    return {
        name: entry[2]
        for entry in entries
        if (name := values.model_path(entry[0])) and isinstance(entry[2], str)
    }


def _refiner(data: Mapping[str, Any]) -> dict[str, Any]:
    model = data.get("refiner_model")
    if not isinstance(model, str) or model in ("", "None"):
        return {}
    return {
        "second_pass_model": model,
        "second_pass_mode": "refiner",
        "refiner_switch": data.get("refiner_switch"),
    }
