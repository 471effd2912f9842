"""Detail passes as the extension ADetailer writes them into A1111's `parameters`.

Each pass has its own keys, the second and third with " 2nd" and " 3rd" behind. The order of the regions is a
setting of the program there; a key of our own tells it where no key of ADetailer implies it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import RequestError
from ...request import DETAIL_SETTINGS, MAX_DETAILS, DetailPass, GenerationRequest

SUFFIXES = ("", " 2nd", " 3rd")
assert len(SUFFIXES) == MAX_DETAILS
PLAIN = {
    "detector": "ADetailer model",
    "prompt": "ADetailer prompt",
    "negative_prompt": "ADetailer negative prompt",
    "confidence": "ADetailer confidence",
    "min_area": "ADetailer mask min ratio",
    "max_area": "ADetailer mask max ratio",
    "dilate": "ADetailer dilate erode",
    "mask_blur": "ADetailer mask blur",
    "strength": "ADetailer denoising strength",
    "padding": "ADetailer inpaint padding",
    "steps": "ADetailer steps",
    "cfg": "ADetailer CFG scale",
    "sampler": "ADetailer sampler",
    "schedule": "ADetailer scheduler",
}
"""Field -> key of those that one pair tells."""
ALWAYS = ("confidence", "dilate", "mask_blur", "strength", "padding")
"""Fields that are written at their default as well."""
SWITCHES = {
    "ADetailer use separate steps": ("steps",),
    "ADetailer use separate CFG scale": ("cfg",),
    "ADetailer use separate sampler": ("sampler", "schedule"),
}
"""Key -> fields without which ADetailer does not write it, and ignores them."""
CLASSES, ONLY_MASKED = "ADetailer model classes", "ADetailer inpaint only masked"
TOP, TOP_BY, ORDER = "ADetailer mask only top k", "ADetailer method to decide top k masks", "ADetailer order"
EARLIER_TOP = "ADetailer mask only top k largest"
"""The key of TOP before there was a choice: the largest."""
SAME = ("use same sampler", "use same scheduler", "")

KEYS = frozenset(
    f"{key}{suffix}".casefold()
    for key in (*PLAIN.values(), *SWITCHES, CLASSES, ONLY_MASKED, TOP, TOP_BY, ORDER, EARLIER_TOP)
    for suffix in SUFFIXES
) | {"adetailer version"}
"""In small letters: keys that are read, or change nothing."""


def pairs(request: GenerationRequest) -> dict[str, Any]:
    """The pairs of all passes."""
    found: dict[str, Any] = {}
    for each, suffix in zip(request.details, SUFFIXES, strict=False):
        found |= {f"{key}{suffix}": value for key, value in _of_pass(each).items()}
    return found


def _of_pass(each: DetailPass) -> dict[str, Any]:
    values = each.model_dump()
    found: dict[str, Any] = {"ADetailer model": each.detector}
    if each.classes:
        found[CLASSES] = ", ".join(each.classes)
    for name, key in PLAIN.items():
        if name in ALWAYS or values[name] != DETAIL_SETTINGS[name].default:
            found[key] = _shown(values[name])
        if name == "max_area" and each.count:
            found |= {TOP: each.count, TOP_BY: "Confidence" if each.order == "confidence" else "Area"}
        if name == "strength":
            found[ONLY_MASKED] = True
    found |= {
        switch: True for switch, names in SWITCHES.items() if any(values[name] is not None for name in names)
    }
    if each.order != ("size" if TOP in found and found[TOP_BY] == "Area" else "confidence"):
        found[ORDER] = each.order
    return found


def _shown(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read(fields: Mapping[str, str], notes: list[str]) -> list[dict[str, Any]]:
    """The passes as fields of a request, still as text; `fields` by their names in small letters. What cannot
    be done here is said in `notes`."""
    passes = []
    for number, suffix in enumerate(SUFFIXES, 1):

        def told(key: str, suffix: str = suffix) -> str | None:
            return fields.get(f"{key}{suffix}".casefold())

        if told("ADetailer model") in (None, "", "None"):
            continue
        found: dict[str, Any] = {
            name: value for name, key in PLAIN.items() if (value := told(key)) is not None
        }
        for switch, names in SWITCHES.items():
            if told(switch) is None:
                for name in names:
                    found.pop(name, None)
        for name in ("sampler", "schedule"):
            if found.get(name, "").casefold() in SAME:
                found.pop(name, None)
        if classes := told(CLASSES):
            found["classes"] = [name.strip() for name in classes.split(",") if name.strip()]
        top = told(TOP) or told(EARLIER_TOP)
        if top and top != "0":
            found |= {"count": top, "order": "confidence" if told(TOP_BY) == "Confidence" else "size"}
        if order := told(ORDER):
            found["order"] = order
        if told(ONLY_MASKED) in (None, "False"):
            notes.append(
                f"Detail pass {number} was drawn over the whole picture; here a region is drawn alone, with "
                "padding."
            )
        passes.append(found)
    return passes


def valid(details: Sequence[Mapping[str, Any]], problems: list[str]) -> list[dict[str, Any]]:
    """The passes, without single settings that no pass can hold."""
    kept: list[dict[str, Any]] = []
    for each in details[:MAX_DETAILS]:
        valid: dict[str, Any] = {"detector": each["detector"]}
        for name, value in each.items():
            try:
                DetailPass.validated(**{**valid, name: value})
            except RequestError as error:
                problems.append(f"A setting of a detail pass was left out: {error}")
            else:
                valid[name] = value
        kept.append(DetailPass.validated(**valid).model_dump(mode="json"))
    return kept
