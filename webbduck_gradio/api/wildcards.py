"""/resolve: what a prompt comes to before anything is drawn."""

from __future__ import annotations

from typing import Any, TypedDict

from ..errors import RequestError
from ..models import dynamic_prompts, prompt_resolver
from ..models.catalog.registry import Registry
from ..models.steps_notes import HIRES_COUNTED_BY, steps_notes
from ..models.styles import put_in
from ..request import GenerationRequest
from ..services import Services
from .endpoints import endpoint
from .gradio_helpers import whole_number

MORE = frozenset(("base_model", "steps", "sampler", "schedule", *HIRES_COUNTED_BY))
"""Settings by which the steps are counted."""
MAX_RESOLVED = 100
"""Texts that one call resolves."""


class DrawAnswer(TypedDict):
    """What one wildcard, variant or variable came to."""

    field: str
    source: str
    text: str
    file: str | None
    line: int | None


class ResolvedLora(TypedDict):
    name: str
    weight: float


class ResolvedText(TypedDict):
    """The texts of one image as the text encoders get them, and as they can be asked for again."""

    seed: int
    combination: int | None
    prompt: str
    negative_prompt: str
    prompt_2: str
    typed: dict[str, str]
    """The three texts as a request that comes to them, LoRA tags included and without what is added."""
    loras: list[ResolvedLora]
    embeddings: list[str]
    """Those that the texts name."""
    draws: list[DrawAnswer]
    steps: list[str]
    """What the texts come to from step to step, a sentence each, if they change."""
    notes: list[str]


class ResolveAnswer(TypedDict):
    texts: list[ResolvedText]
    combinations: int | None
    """Of the prompt; null for more than can be counted."""


@endpoint()
def resolve(
    services: Services,
    prompt: str,
    seed: int | None = None,
    n: int = 1,
    negative_prompt: str = "",
    prompt_2: str = "",
    loras: list[dict[str, Any]] | None = None,
    styles: list[str] | None = None,
    combination: int | None = None,
    settings: dict[str, Any] | None = None,
) -> ResolveAnswer:
    """What a prompt comes to with the seeds seed, seed + 1, ..., or with the combinations from `combination`
    on: its finished texts with wildcards, variants, styles and triggers, where each came from, and at which
    steps, also of the hires pass, those that change do. At most 100 at once; seed None or -1 is random."""
    n = whole_number(n)
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_RESOLVED:
        raise RequestError(f"n must be a whole number from 1 to {MAX_RESOLVED}.")
    asked = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "prompt_2": prompt_2,
        "loras": loras or (),
        "combination": whole_number(combination),
        "seed": whole_number(seed),
    }
    if settings is not None and (not isinstance(settings, dict) or not settings.keys() <= MORE):
        raise RequestError(f"settings can hold {', '.join(sorted(MORE))}.")
    counted_by = {name: value for name, value in (settings or {}).items() if value is not None}
    return resolved(services.registry, counted_by | asked | ({"styles": styles} if styles else {}), n)


def resolved(registry: Registry, asked: dict[str, Any], n: int) -> ResolveAnswer:
    """The answer of /resolve. `asked`: fields of `GenerationRequest`. Raises what `resolve_prompt` raises."""
    whole = GenerationRequest.validated(**{"base_model": "any", **asked})
    request, _ = put_in(registry.styles, whole)
    count = dynamic_prompts.combinations(registry.wildcard_folder, request.prompt)
    if request.combination is not None:
        n = max(1, min(n, count - request.combination))
    texts = [_text(registry, whole, request, index) for index in range(n)]
    return {"texts": texts, "combinations": count if count <= dynamic_prompts.MAX_COMBINATIONS else None}


def _text(
    registry: Registry, whole: GenerationRequest, request: GenerationRequest, index: int
) -> ResolvedText:
    """`request`: the whole one with its styles put in."""
    found = prompt_resolver.resolve_prompt(registry, request, index)
    facts = dynamic_prompts.draw_facts(request, found.drawn)
    again = dynamic_prompts.with_drawn_texts(request, facts, again=True)
    return {
        "seed": request.seed_of(index),
        "combination": None if request.combination is None else request.combination + index,
        "prompt": found.prompt,
        "negative_prompt": found.negative_prompt,
        "prompt_2": found.prompt_2,
        "typed": {name: getattr(again, name) for name in dynamic_prompts.LABELS},
        "loras": [{"name": lora.name, "weight": weight} for lora, weight in found.loras],
        "embeddings": [each.name for each in found.embeddings],
        "draws": facts.get("draws", []),
        "notes": list(found.notes),
        "steps": steps_notes(registry, whole, found, index),
    }
