"""Whether one of our images can be reproduced exactly with this version and on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from ...models.prompt_schedule import count_of, joined_parts, texts_of
from ...models.tokens import chunks
from ...request import GenerationRequest
from ...request.samplers import AUTOMATIC

DRAWING = 6
"""Incremented when the same settings give a different image than before; recorded in each image."""

RESAMPLED = ("DPM++ 3M SDE", "DPM2", "DPM++ SDE")
"""Prefixes of samplers that changed in `DRAWING` 2, for any number of steps."""
RESCHEDULED = ("DPM++ 2M", "DPM++ 2M SDE")
KARRAS = ("Euler Karras", "LMS Karras")
REWRITTEN = ("DPM++ 2M SDE", "DPM++ 3M SDE", "UniPC")
"""Samplers that changed visibly in `DRAWING` 3, in which all became the studio's own: the noise of the first
two comes from a Brownian path, and UniPC is of third order."""
LOWER_ORDER, AUTOMATIC_NOW_KARRAS = ("iPNDM", "PLMS"), ("iPNDM", "DEIS")
"""What changed in `DRAWING` 4."""
FP8 = "fp8"
"""The memory policy that changes images."""
LORAS_ROUNDED = (
    "It was made by an earlier version, in which LoRAs were layers of their own instead of being added to "
    "the weights; generated again, {what} can differ slightly."
)
"""What changed in `DRAWING` 5: single pixels in float32, more in half precision."""
PER_STEP = "prompts that change from step to step or are joined by AND"
"""What changed in `DRAWING` 6, before which such prompts were plain words."""
LIBRARIES = {"cuda": "CUDA", "cudnn": "cuDNN", "hip": "HIP"}
SLIGHTLY = (
    "It was made by an earlier version, whose samplers rounded differently; generated again, single pixels "
    "can differ slightly."
)


def differences(
    chunk: Mapping[str, Any], here: Mapping[str, Any] | None, size: str | None = None
) -> list[str]:
    """Sentences about expected differences. `chunk` is the image's `webbduck` chunk; `here` has "device",
    "name" (of the GPU), "libraries", "threads", "memory", "dtypes", "compiled" and "compile_problem" as
    reported by the core; None or {}: not known yet. `size`: that of the checkpoint, "small" or "large"; None:
    not installed."""
    facts = chunk.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    notes = []
    drawing = chunk.get("drawing", 1)
    if drawing < DRAWING and chunk.get("kind", "generate") in ("generate", "test"):
        if changed := _changed(chunk, drawing):
            notes.append(
                f"It was made by an earlier version, which handled {' and '.join(changed)} differently; "
                "generated again, it will look different."
            )
        elif drawing < 3:
            notes.append(SLIGHTLY)
        elif drawing < 5 and (chunk["request"].get("loras") or facts.get("loras")):
            exact = facts.get("dtype", "float32") == "float32"
            notes.append(LORAS_ROUNDED.format(what="single pixels" if exact else "details"))
    if facts.get("drawn_together"):
        notes.append(
            "It was drawn together with others of its batch; generated again alone, single pixels can differ "
            "slightly."
        )
    if here:
        notes += _hardware_differences(facts, here)
        notes += _precision_differences(facts, here, size)
        notes += _compiling_differences(facts, here)
    return notes


def _changed(chunk: Mapping[str, Any], drawing: int) -> list[str]:
    """What changed visibly since the picture was made, by that version of the generation code."""
    request = GenerationRequest.validated(**chunk["request"])
    name, facts = request.scheduler, chunk.get("facts")
    changed = [PER_STEP] * _changes(request)
    if drawing > 3:
        return changed
    if drawing == 3:
        is_automatic = request.sampler in AUTOMATIC_NOW_KARRAS and request.schedule == AUTOMATIC
        return changed + [request.sampler] * (is_automatic or request.sampler in LOWER_ORDER)
    if request.sampler in REWRITTEN or (drawing < 2 and _was_resampled(name, request.steps)):
        changed.append(name)
    if request.image:
        changed.append("input pictures and their noise")
    if request.second_pass_model:
        is_refiner = isinstance(facts, dict) and facts.get("second_pass") == "refiner"
        changed.append("where a refiner takes over" if is_refiner else "the second pass")
    prompts = [len(chunks(text)) for text in (request.prompt, request.negative_prompt)]
    if drawing < 2 and request.negative_prompt.strip() and prompts[0] != prompts[1]:
        changed.append("a prompt with a negative prompt of another length")
    return changed


def _changes(request: GenerationRequest) -> bool:
    """Whether one of its prompts is no longer plain words."""
    count = count_of(request)
    joining = [request.prompt, request.hires_prompt, *(each.prompt for each in request.details)]
    others = [
        request.negative_prompt,
        request.prompt_2,
        request.hires_negative_prompt,
        *(each.negative_prompt for each in request.details),
    ]
    try:
        return any(
            len(joined_parts(text)) > 1 or texts_of(text, count) != (text,) for text in joining
        ) or any(texts_of(text, count, joins=False) != (text,) for text in others)
    except RequestError:  # more than can be drawn now
        return True


def _was_resampled(name: str, steps: int) -> bool:
    """Whether a sampler, by its joined name, changed in `DRAWING` 2."""
    return (
        name.startswith(RESAMPLED) or (name in RESCHEDULED and steps >= 10) or (name in KARRAS and steps < 10)
    )


def _hardware_differences(facts: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Differences in hardware that change the last bits. Compares only what both sides report."""
    original, current = _device_name(facts, facts.get("gpu")), _device_name(here, here.get("name"))
    if original and current and original != current:
        return [f"It was generated on {original}, but here on {current}; single pixels can differ slightly."]
    changed = _library_differences(facts.get("libraries"), here.get("libraries"))
    if original and current and changed:
        return [f"It was generated with {changed}; single pixels can differ slightly."]
    threads = facts.get("threads"), here.get("threads")
    if original == "the CPU" and all(threads) and threads[0] != threads[1]:
        return [
            f"It was generated with {threads[0]} CPU threads, but here with {threads[1]}; the last bit of "
            "single pixels can differ. To avoid this, start the studio with the same OMP_NUM_THREADS."
        ]
    return []


def _library_differences(before: Any, now: Any) -> str:
    """Which versions of the device's libraries differ: "CUDA 12.4 (here 12.8)"; "" if none does."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return ""
    return " and ".join(
        f"{title} {before[name]} (here {now[name]})"
        for name, title in LIBRARIES.items()
        if name in before and name in now and before[name] != now[name]
    )


def _precision_differences(facts: Mapping[str, Any], here: Mapping[str, Any], size: str | None) -> list[str]:
    was, is_now = facts.get("memory_policy") == FP8, here.get("memory") == FP8
    if was != is_now:
        stored = "stored its UNet in 8 bits" if was else "did not store its UNet in 8 bits"
        return [
            f"It was drawn with a memory policy that {stored}; generated again here, details can differ. To "
            f"avoid this, {'choose' if was else 'leave'} the memory policy '{FP8}'."
        ]
    original, current = facts.get("dtype"), here.get("dtypes", {}).get(size)
    if not original or not current or original == current:
        return []
    return [
        f"Its checkpoint worked in {original}, but here works in {current}; details can differ. To avoid "
        f"this, start the studio with --precision {original}."
    ]


def _compiling_differences(facts: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    before, now = bool(facts.get("compiled")), here.get("compiled") and not here.get("compile_problem")
    if not facts.get("device") or before == bool(now):
        return []
    ways = ("compiled", "uncompiled") if before else ("uncompiled", "compiled")
    return [f"It was generated {ways[0]}, but here {ways[1]}; single pixels can differ slightly."]


def _device_name(facts: Mapping[str, Any], gpu: Any) -> str | None:
    device = str(facts.get("device") or "").partition(":")[0]
    if device in ("cuda", "xpu"):
        return str(gpu) if gpu else None
    return {"cpu": "the CPU", "mps": "an Apple GPU"}.get(device)
