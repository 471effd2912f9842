"""The stages of a picture: what each pass leaves behind, in the order in which they are drawn.

A pass that is added has its line in `PASSES`; `Pass.keeps` of the core names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .requests import SETTINGS, GenerationRequest

PASSES: dict[str, Mapping[str, Any]] = {
    "base": {},
    "redrawn": {"second_pass_model": None},
    "hires": {name: each.default for name, each in SETTINGS.items() if each.group == "hires"},
    "detailed": {"details": ()},
}
"""Each stage, with the settings of a request that does without its pass. "base": the first pass, which a
refiner may continue; "redrawn": the img2img second pass; "detailed": the regions that detectors found."""


def request_of(stage: str, request: GenerationRequest) -> GenerationRequest:
    """The request that has this stage as its final picture."""
    names = list(PASSES)
    later = (PASSES[name] for name in names[names.index(stage) + 1 :])
    update: dict[str, Any] = {"keep_stages": "off"}
    for fields in later:
        update |= fields
    return request.model_copy(update=update)
