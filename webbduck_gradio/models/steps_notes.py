"""What the prompts of a request come to from step to step, for people: in the page and in /resolve."""

from __future__ import annotations

from ..request import SETTINGS, GenerationRequest
from .catalog.registry import Registry
from .prompt_resolver import ResolvedPrompt, is_about_steps, resolve_prompt
from .schedule_in_words import hires_in_words, in_words

PROMPTS = ("prompt", "prompt_2", "negative_prompt")
COUNTED_BY = ("steps", "sampler", "schedule", "image", "strength", "strength_steps")
"""Settings by which a prompt that changes is counted."""
HIRES_COUNTED_BY = ("width", "height", *(name for name in SETTINGS if name.startswith("hires_")))
"""And in the hires pass."""


def steps_notes(
    registry: Registry, request: GenerationRequest, resolved: ResolvedPrompt, index: int = 0
) -> list[str]:
    """What the prompts that change come to in the first pass and in the hires pass, and what only looks like
    it. `resolved`: image `index` of the request. Raises what `resolve_prompt` raises."""
    notes = [each for each in resolved.notes if is_about_steps(each)]
    for name in PROMPTS:
        notes += _named(name, in_words(getattr(resolved, name), request, joins=name == "prompt"))
    if request.has_hires:
        hires = resolve_prompt(registry, request.for_hires_pass(), index, request, "hires ")
        for name in PROMPTS:
            first, text = getattr(resolved, name), getattr(hires, name)
            notes += _named(name, hires_in_words(text, request, first=first, joins=name == "prompt"))
    return notes


def _named(name: str, told: list[str]) -> list[str]:
    return told if name == "prompt" else [f"{SETTINGS[name].label}: {each}" for each in told]
