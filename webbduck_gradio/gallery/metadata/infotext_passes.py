"""The passes after the first in the `parameters` text: A1111's refiner and hires fix, and our second pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...request import GenerationRequest
from ...request.samplers import resolved_schedule, sampler_named

ORDER = (
    "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires checkpoint", "Hires sampler",
    "Hires schedule type", "Hires prompt", "Hires negative prompt", "Hires CFG Scale",
    "Hires denoising strength", "Second pass", "Second pass steps", "Second pass strength", "Refiner",
    "Refiner switch at",
)  # fmt: skip
"""A1111's order of the pairs, then our own."""

_HASH = re.compile(r" \[[0-9a-f]{6,64}\]$")
"""A1111 writes a checkpoint as "NAME [HASH]"."""


def number(value: float) -> str:
    """7.0 -> '7', 6.5 -> '6.5', 1 - 0.3 -> '0.7': exact to 12 digits."""
    return str(int(value)) if float(value).is_integer() else repr(round(float(value), 12))


def pairs(request: GenerationRequest, kind: str) -> dict[str, Any]:
    """`kind`: what the second pass does, "refiner" or "img2img"."""
    return {**_second_pass(request, kind), **(_hires(request) if request.has_hires else {})}


def _second_pass(request: GenerationRequest, kind: str) -> dict[str, Any]:
    """A refiner is A1111's refiner; an img2img pass is its hires fix at the same size, as long as none of our
    own follows."""
    model = request.second_pass_model
    if not model:
        return {}
    if kind != "img2img":
        switch = number(request.refiner_switch) if kind == "refiner" else None
        return {"Refiner": model, "Refiner switch at": switch}
    strength = number(request.refinement_strength)
    own = {"Second pass steps": request.second_pass_steps or request.steps}
    if request.has_hires:
        return {**own, "Second pass": model, "Second pass strength": strength}
    again = {
        **own,
        "Hires upscale": 1,
        "Hires steps": max(request.img2img_pass_steps.drawn, 1),
        "Hires checkpoint": model,
    }
    if request.image:  # whose own denoising strength stands there already
        return {**again, "Second pass strength": strength}
    return {"Denoising strength": strength, **again}


def _hires(request: GenerationRequest) -> dict[str, Any]:
    """A1111's pairs; those of settings that the first pass has as well only where they differ."""
    own = request.for_hires_pass()
    found: dict[str, Any] = {"Hires upscaler": request.hires_upscaler, "Hires steps": request.hires_steps}
    if request.hires_scale:
        found["Hires upscale"] = number(request.hires_scale)
    else:
        found["Hires resize"] = f"{request.hires_width or 0}x{request.hires_height or 0}"
    strength = "Hires denoising strength" if request.image else "Denoising strength"
    found[strength] = number(request.hires_strength)
    different = {
        "Hires checkpoint": (own.base_model, request.base_model),
        "Hires sampler": (own.sampler, request.sampler),
        "Hires schedule type": (_schedule(own), _schedule(request)),
        "Hires negative prompt": (own.negative_prompt, request.negative_prompt),
        "Hires CFG Scale": (number(own.cfg), number(request.cfg)),
    }
    found |= {key: one for key, (one, other) in different.items() if one != other}
    return found | ({"Hires prompt": request.hires_prompt} if request.hires_prompt else {})


def _schedule(request: GenerationRequest) -> str | None:
    return resolved_schedule(sampler_named(request.sampler), request.schedule)


def hires(fields: Mapping[str, str], single: Mapping[str, str]) -> dict[str, Any]:
    """What is said of a hires fix, and of a second pass of ours, as fields of a request. `fields`: by their
    names in small letters; `single`: those of `infotext.single_fields`.

    The denoising strength beside a hires fix is its own, not img2img's.
    """
    if not any(name.startswith("hires ") for name in fields):
        return {}
    if fields.get("version", "").startswith("WebbDuck") and "hires upscaler" not in fields:
        return _own_second_pass(fields, single)
    own = single.get("hires_strength")
    model = single.get("hires_model")
    found = {
        "hires_model": model and _HASH.sub("", model),
        "hires_width": fields.get("hires resize-1"),
        "hires_height": fields.get("hires resize-2"),
        "hires_strength": own or single.get("strength"),
        "strength": single.get("strength") if own else None,
        "strength_steps": single.get("strength_steps"),
    }
    if "second pass" not in fields:
        return found
    return {**found, "second_pass_model": fields["second pass"], "second_pass_mode": "img2img"}


def _own_second_pass(fields: Mapping[str, str], single: Mapping[str, str]) -> dict[str, Any]:
    """Our img2img second pass, which is written as a hires fix of the same size. `Hires steps` are those that
    are drawn."""
    recorded = single.get("refinement_strength")
    strength = single.get("strength") if recorded is None else recorded
    model = fields.get("hires checkpoint", fields.get("model"))
    nothing = dict.fromkeys(("hires_scale", "hires_steps", "hires_model"))
    if model is None or strength is None:
        return {"strength": None, **nothing}
    steps = single.get("second_pass_steps") or fields.get("hires steps")
    return {
        **nothing,
        "strength": None if recorded is None else single.get("strength"),
        "second_pass_model": model,
        "second_pass_mode": "img2img",
        "second_pass_steps": None if steps == "0" else steps,
        "refinement_strength": strength,
    }
