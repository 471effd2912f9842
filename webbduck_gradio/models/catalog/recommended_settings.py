"""Default settings recommended by a checkpoint's own files, as request fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...request import SCHEDULERS
from ...request.samplers import AUTOMATIC, SGM_UNIFORM, UNIFORM, joined_name, sampler_of_config

NAMED_BY_EVERY_FOLDER = "EulerDiscreteScheduler"


def defaults_from_scheduler(config: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that a folder's scheduler_config.json asks for."""
    sampler = sampler_of_config(config)
    if sampler is None or sampler.config_class == NAMED_BY_EVERY_FOLDER:
        return {}
    is_karras = config.get("use_karras_sigmas") and "Karras" in sampler.schedules
    is_uniform = sampler.automatic not in (None, SGM_UNIFORM)  # others have even timesteps of their own
    schedule = "Karras" if is_karras else UNIFORM if is_uniform else AUTOMATIC
    return {"scheduler": joined_name(sampler.name, schedule)}


def defaults_from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Defaults from a file's metadata: `webbduck.defaults`, else modelspec's resolution and usage hint."""
    found: dict[str, Any] = {}
    size = re.fullmatch(r"(\d{2,4})(?:x(\d{2,4}))?", metadata.get("modelspec.resolution", "").strip())
    if size:
        found |= {"width": int(size[1]), "height": int(size[2] or size[1])}
    hint = metadata.get("modelspec.usage_hint", "")
    steps = re.search(r"\b(\d{1,3})\s*(?:sampling\s+)?steps\b", hint, re.IGNORECASE)
    cfg = re.search(r"\bcfg(?:\s*scale)?\s*[:=]?\s*(\d{1,2}(?:\.\d+)?)", hint, re.IGNORECASE)
    found |= {"steps": int(steps[1])} if steps else {}
    found |= {"cfg": float(cfg[1])} if cfg else {}
    # Longest names first, so that "Euler a" is not mistaken for "Euler".
    for name in sorted(SCHEDULERS, key=len, reverse=True):
        if re.search(rf"(?<![\w+]){re.escape(name)}(?!\w)", hint, re.IGNORECASE):
            found["scheduler"] = name
            break
    try:
        own = json.loads(metadata.get("webbduck.defaults", "{}"))
    except (ValueError, RecursionError):
        own = {}
    return found | (own if isinstance(own, dict) else {})
