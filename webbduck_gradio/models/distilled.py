"""Distilled checkpoints and LoRAs: those that draw in a few steps, and the settings that they are made for.

Recognised by the header (full LCM), by what the file's metadata or its folder's scheduler say, or by the
file's name: most say it nowhere else. The settings are those of the model cards: LCM (Luo et al. 2023), SDXL
Turbo (Sauer et al. 2023), SDXL-Lightning (Lin et al. 2024), Hyper-SD (Ren et al. 2024), DMD2 (Yin et al.
2024), TCD (Zheng et al. 2024), Flash Diffusion (Chadebec et al. 2024), PCM (Wang et al. 2024).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from ..request import GenerationRequest
from ..request.samplers import SGM_UNIFORM

By = Literal["header", "metadata", "name"]
What = Literal["checkpoint", "LoRA"]


@dataclass(frozen=True)
class Distilled:
    """A kind of distillation, what it was recognised `by`, and the settings that it is made for."""

    kind: str
    by: By
    steps: int
    cfg: float
    sampler: str
    schedule: str = SGM_UNIFORM


_EULER, _DPM = "Euler", "DPM++ SDE"
_USUAL: dict[str, tuple[int, float, str]] = {
    "LCM": (6, 1.5, "LCM"),
    "Turbo": (4, 1.0, "Euler a"),
    "Lightning": (4, 1.0, _EULER),
    "Hyper": (8, 1.0, _EULER),
    "DMD2": (4, 1.0, "LCM"),
    "TCD": (4, 1.0, "TCD"),
    "Flash": (4, 1.0, "LCM"),
    "PCM": (4, 1.5, _EULER),
}
"""Kind: steps, CFG and sampler, on evenly spaced timesteps that begin at the last one ("trailing"). Euler's
steps on them are those of DDIM, which Hyper-SD and PCM name."""
_MERGED: dict[str, tuple[int, float, str, str]] = {
    "Turbo": (8, 2.0, _DPM, "Karras"),
    "Lightning": (6, 2.0, _DPM, "Karras"),
    "Hyper": (8, 1.5, _DPM, "Karras"),
}
"""The same and the schedule for checkpoints of others that had such a model merged into them."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_RUN_TOGETHER = re.compile(r"(?i)lora|(?:xl|turbo|lightning|hyper)(?=lightning|turbo|hyper|lcm|dmd|v\d)")
"""Words that are split off before capitals are looked at: "LoRA", "XLLIGHTNING_TURBOV7"."""
_CLEAR = {"lcm": "LCM", "dmd": "DMD2", "tcd": "TCD", "pcm": "PCM"}
"""Words that mean nothing else."""
_UNCLEAR = {"turbo": "Turbo", "lightning": "Lightning", "hyper": "Hyper", "flash": "Flash"}
"""Words that may as well say what a picture shows."""
_FAMILY = frozenset({"sd", "sdxl", "xl", "ssd"})
_TECHNICAL = _FAMILY.union(
    ("lora", "locon", "unet", "base", "model", "models", "weights", "pytorch", "safetensors", "diffusers"),
    ("comfy", "comfyui", "converted", "distill", "distilled", "distillation", "official", "final", "full"),
    ("step", "steps", "s", "b", "v", "ver", "version", "fp", "bf", "f", "x", "e", "d", "r", "rank", "dim"),
    ("ema", "only", "pruned", "vae", "baked", "bakedvae", "no", "novae", "mix", "merge", "merged"),
    ("cfg", "preserved", "small", "normal", "smallcfg", "normalcfg", "lcmlike"),
    ("dpm", "dpmsde", "dpmpp", "sde", "euler", "a", "karras", "sampler"),
    ("and", "for", "the", "of", "with", "to", "in"),
    _CLEAR,
    _UNCLEAR,
)
_NEIGHBOURS = _TECHNICAL - {"a", "and", "for", "the", "of", "with", "to", "in", "no"}


def by_name(name: str, what: What) -> Distilled | None:
    """What a file's name says, folders left out; None for a name that does not say it.

    A word like "lightning" counts in a checkpoint's name beside technical words only ("XL Lightning 4 step"),
    and in a LoRA's only if there are no others at all, or a number of steps: "lightning storm" is a subject.
    """
    stem = name.rpartition("/")[2].removesuffix(".safetensors")
    words = [each.casefold() for each in _PARTS.findall(_RUN_TOGETHER.sub(_apart, stem))]
    steps = _steps(words)
    clear = "PCM" if "pcm" in words else next((_CLEAR[word] for word in words if word in _CLEAR), None)
    plain = all(word in _TECHNICAL or word.isdigit() for word in words)
    kind = clear or _unclear(words, what, plain, steps)
    if kind is None:
        return None
    return _settings(kind, "name", words, steps, is_merge=what == "checkpoint" and not plain)


def _apart(found: re.Match[str]) -> str:
    return f" {found[0].casefold()} "


def _unclear(words: list[str], what: What, plain: bool, steps: int | None) -> str | None:
    is_named = plain and bool(_FAMILY.intersection(words))
    for place, word in enumerate(words):
        if word == "turbovisionxl":
            return "Turbo"
        if word not in _UNCLEAR:
            continue
        after = words[place + 1] if place + 1 < len(words) else ""
        beside = not after or after.isdigit() or after in _NEIGHBOURS
        if beside and (steps or is_named or what == "checkpoint"):
            return _UNCLEAR[word]
    return None


def _steps(words: list[str]) -> int | None:
    """The number in "4step", "8 Steps" or "8S"."""
    for number, word in pairwise(words):
        if number.isdigit() and word in ("step", "steps", "s") and 1 <= int(number) <= 32:
            return int(number)
    return None


def _settings(kind: str, by: By, words: list[str], steps: int | None, is_merge: bool) -> Distilled:
    usual, cfg, sampler = _USUAL[kind]
    found = Distilled(kind, by, steps or usual, cfg, sampler)
    if is_merge and kind in _MERGED:
        usual, cfg, sampler, schedule = _MERGED[kind]
        found = Distilled(kind, by, steps or usual, cfg, sampler, schedule)
    elif "dpmsde" in words or {"dpm", "sde"} <= set(words):
        found = replace(found, cfg=2.0, sampler=_DPM, schedule="Karras")
    if kind == "Hyper" and "cfg" in words:  # made to be used with guidance
        found = replace(found, cfg=5.0)
    if kind == "Hyper" and steps == 1:
        found = replace(found, sampler="TCD")
    if kind == "PCM" and ("normalcfg" in words or {"normal", "cfg"} <= set(words)):
        found = replace(found, cfg=5.0)
    if kind == "PCM" and "lcmlike" in words:
        found = replace(found, cfg=1.0, sampler="LCM")
    return found


_SAYING = ("modelspec.title", "ss_output_name")
"""Metadata in which its trainer names the model itself."""
LONGEST_NAME = 255
"""Characters of such a name that are read."""


def in_metadata(metadata: Mapping[str, str], what: What) -> dict[str, Any] | None:
    """The fields of what a file's metadata says in the model's own name; None where it does not say it."""
    for key in _SAYING:
        if found := by_name(metadata.get(key, "")[:LONGEST_NAME], what):
            return asdict(replace(found, by="metadata"))
    return None


def by_scheduler(config: Mapping[str, Any]) -> Distilled | None:
    """What a folder's scheduler_config.json says: LCM's and TCD's schedulers suit no other models."""
    kind = {"LCMScheduler": "LCM", "TCDScheduler": "TCD"}.get(str(config.get("_class_name")))
    return _settings(kind, "metadata", [], None, is_merge=False) if kind else None


FULL_LCM = Distilled("LCM", "header", 4, 8.0, "LCM")
"""A UNet that is told the guidance scale, which only full LCM checkpoints have. CFG is their authors'."""


def remembered(found: Any) -> Distilled | None:
    """`Distilled` from its fields, as the catalog's cache keeps them."""
    return Distilled(**found) if isinstance(found, Mapping) else None


MOST_STEPS, MOST_CFG = 3, 2
"""More steps than so many times the suggested ones, or so much more CFG, are far off."""


def far_off(request: GenerationRequest, name: str, what: What, made_for: Distilled) -> str | None:
    """A sentence if the request's steps or CFG are far from what this model is made for; else None."""
    if request.steps <= MOST_STEPS * made_for.steps and request.cfg <= made_for.cfg + MOST_CFG:
        return None
    article = "an" if made_for.kind == "LCM" else "a"
    steps = "1 step" if made_for.steps == 1 else f"{made_for.steps} steps"
    return (
        f"{name} looks like {article} {made_for.kind} {what} (by its {made_for.by}), made for about {steps} "
        f"at CFG {made_for.cfg:g} with {made_for.sampler} and {made_for.schedule}, not {request.steps} at "
        f"CFG {request.cfg:g}."
    )
