"""Any picture's settings, ready for the form: our own exactly, other tools' as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..request import GenerationRequest, LoraUse
from . import infotext, metadata

SAMPLERS = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "lms": "LMS",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "unipc": "UniPC",
    "ddim": "DDIM",
}
"""ComfyUI's, SwarmUI's, Fooocus' and InvokeAI's names, without `_gpu` and `_k`."""

LABELS = {
    "base_model": "checkpoint",
    "second_pass_model": "refiner",
    "cfg": "CFG",
    "scheduler": "sampler",
    "strength": "denoising strength",
    "negative_prompt": "negative prompt",
}


def read_settings(
    path: Path,
    checkpoints: Mapping[str, str | None] | None = None,
    loras: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """What the picture says, as fields of `GenerationRequest`.

    `checkpoints` and `loras` are what is installed: names and, where known, hashes (AutoV2; AutoV3 of LoRAs).
    Given these, a checkpoint is also found under another name by its hash, and what is not there is left out.
    Answers `fields` (each one valid by itself), `problems` (a sentence for everything that was left out or
    replaced), `tool` and `raw` (the text as it is, to show where nothing could be read). Raises
    `StorageError` where the file is no readable picture.
    """
    found = metadata.read(path)
    problems = list(found["problems"])
    wanted = dict(found["settings"])
    if not wanted:
        problems.append("The picture says nothing about how it was made.")
    if found["request"] is None:
        _translate_sampler(wanted, problems)
        if "clip_skip" in wanted:  # 1 and 2 are what SDXL takes anyway
            wanted["clip_skip"] = max(wanted["clip_skip"] - infotext.SDXL_CLIP_SKIP, 0)
    facts = (found["webbduck"] or {}).get("facts") or {}
    model_hash = wanted.pop("model_hash", None) or facts.get("model_hash")
    wanted.pop("schedule", None)
    for key in ("base_model", "second_pass_model"):
        if wanted.get(key) and checkpoints is not None:
            _find_model(key, wanted, model_hash if key == "base_model" else None, checkpoints, problems)
    if loras is not None:
        _find_loras(wanted, facts.get("lora_hashes") or {}, loras, problems)
    return {
        "tool": found["tool"],
        "fields": _valid(wanted, problems),
        "problems": problems,
        "raw": found["parameters"] or "\n".join(found["texts"].values()),
    }


def _translate_sampler(wanted: dict[str, Any], problems: list[str]) -> None:
    """Replace the tool's sampler and schedule by our name, or leave both out."""
    given, schedule = wanted.pop("scheduler", None), wanted.get("schedule")
    if not isinstance(given, str):
        return
    key = given.removesuffix("_gpu")
    if key.endswith("_k"):
        key, schedule = key.removesuffix("_k"), "Karras"
    schedule = str(schedule).replace("_", " ") if schedule else None
    name = infotext.scheduler_name(SAMPLERS.get(key, key), schedule)
    if name:
        wanted["scheduler"] = name
    else:
        both = f"{given} with the schedule {schedule}" if schedule else given
        problems.append(f"There is no sampler {both} here; the chosen one stays.")


def _find_model(
    key: str,
    wanted: dict[str, Any],
    model_hash: str | None,
    installed: Mapping[str, str | None],
    problems: list[str],
) -> None:
    name = wanted[key]
    match = _match(name, model_hash, installed)
    if match is None:
        del wanted[key]
        problems.append(f"The {LABELS[key]} {name} is not installed; the chosen one stays.")
    elif match != name:
        wanted[key] = match
        if match.casefold() != name.casefold():
            problems.append(f"The {LABELS[key]} {name} is called {match} here (it is the same file).")


def _find_loras(
    wanted: dict[str, Any],
    hashes: Mapping[str, str],
    installed: Mapping[str, str | None],
    problems: list[str],
) -> None:
    kept = []
    for lora in wanted.get("loras") or ():
        match = _match(lora["name"], hashes.get(lora["name"]), installed)
        if match is None:
            problems.append(f"The LoRA {lora['name']} is not installed and was left out.")
        else:
            kept.append({**lora, "name": match})
    if "loras" in wanted:
        wanted["loras"] = kept


def _match(name: str, hash: str | None, installed: Mapping[str, str | None]) -> str | None:
    if name in installed:
        return name
    same: list[Callable[[str], bool]] = [lambda other: other.casefold() == name.casefold()]
    if hash and len(hash) >= 8:
        same.append(lambda other: _same_hash(hash, installed[other]))
    return next((other for test in same for other in installed if test(other)), None)


def _same_hash(one: str, other: str | None) -> bool:
    """Hashes are shortened to different lengths."""
    length = min(len(one), len(other or ""))
    return length >= 8 and one[:length].casefold() == (other or "")[:length].casefold()


def _valid(wanted: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The fields that the request takes; the others are named."""
    fields: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in GenerationRequest.model_fields or value is None:
            continue
        if key == "loras":
            fields[key] = _valid_loras(value, problems)
            continue
        # Alone, so that one field that does not fit leaves the others; only a mask needs its picture.
        more = {"image": wanted.get("image")} if key == "mask" else {}
        try:
            request = GenerationRequest.of(**{"base_model": "any", **more, key: value})
        except RequestError as error:
            problems.append(f"The picture's {LABELS.get(key, key)} was left out: {error}")
        else:
            fields[key] = request.model_dump(mode="json")[key]
    if fields.get("mask") and not fields.get("image"):
        del fields["mask"]
    return fields


def _valid_loras(loras: object, problems: list[str]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for lora in loras if isinstance(loras, (list, tuple)) else ():
        asked = {key: value for key, value in dict(lora).items() if value is not None}
        try:
            use = LoraUse.of(**asked).model_dump(mode="json")
        except RequestError as error:
            problems.append(f"The LoRA {asked.get('name')} was left out: {error}")
            continue
        if use["name"] in (other["name"] for other in kept):
            problems.append(f"The LoRA {use['name']} stands there twice; its first weight was taken.")
        else:
            kept.append(use)
    return kept
