"""Whether a picture of ours can come out as it was: what drew it, against what would draw it again here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models.tokens import chunks
from ...request import GenerationRequest

DRAWING = 2
"""Counted up when the same settings give another picture than before; recorded in each picture."""

RESAMPLED = ("DPM++ 3M SDE", "DPM2", "DPM++ SDE")
"""Beginnings of the samplers that the second version draws otherwise, whatever the steps."""
RESCHEDULED = ("DPM++ 2M", "DPM++ 2M SDE")
KARRAS = ("Euler Karras", "LMS Karras")


def differences(chunk: Mapping[str, Any], here: Mapping[str, Any] | None) -> list[str]:
    """Sentences about what will differ. `chunk` is the picture's `webbduck` chunk; `here` says "device",
    "name" (of a GPU) and "threads" as the core describes itself, None or {} = not known yet."""
    facts = chunk.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    notes = []
    if chunk.get("drawing", 1) != DRAWING and chunk.get("kind", "generate") in ("generate", "test"):
        changed = _changed(chunk)
        if changed:
            notes.append(
                f"It was made by an earlier version, which drew {' and '.join(changed)} otherwise; made "
                "again it will look different."
            )
    return notes + (_machine(facts, here) if here else [])


def _changed(chunk: Mapping[str, Any]) -> list[str]:
    request = GenerationRequest.validated(**chunk["request"])
    name, changed = request.scheduler, []
    if (
        name.startswith(RESAMPLED)
        or (name in RESCHEDULED and request.steps >= 10)
        or (name in KARRAS and request.steps < 10)
    ):
        changed.append(name)
    prompts = [len(chunks(text)) for text in (request.prompt, request.negative_prompt)]
    if request.negative_prompt.strip() and prompts[0] != prompts[1]:
        changed.append("a prompt beside a negative prompt of another length")
    return changed


def _machine(facts: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What makes last bits differ. Only what both name is compared."""
    was, now = _engine(facts, facts.get("gpu")), _engine(here, here.get("name"))
    if was and now and was != now:
        return [f"It was drawn on {was}; here it is {now}, which can differ a little in single pixels."]
    threads = facts.get("threads"), here.get("threads")
    if was == "the CPU" and all(threads) and threads[0] != threads[1]:
        return [
            f"It was drawn with {threads[0]} CPU threads; here it is {threads[1]}, which can change the last "
            "bit of single pixels. Start the studio with OMP_NUM_THREADS set to the same number to avoid it."
        ]
    return []


def _engine(facts: Mapping[str, Any], gpu: Any) -> str | None:
    device = str(facts.get("device") or "").partition(":")[0]
    if device == "cuda":
        return str(gpu) if gpu else None
    return {"cpu": "the CPU", "mps": "an Apple GPU"}.get(device)
