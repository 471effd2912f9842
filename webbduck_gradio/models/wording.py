"""What a prompt as typed comes to: `<lora:name:weight>` taken out, trigger phrases put in.

Done in one place, so that the page can show, and the metadata record, exactly what the text encoders get.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..request import MAX_LORAS, GenerationRequest, LoraUse

if TYPE_CHECKING:
    from .registry import Lora, Registry

UNREAD = (
    (re.compile(r"(?<!\\)\[[^\[\]]*:\s*\d*\.?\d+\s*\]"), "prompt editing"),
    (re.compile(r"(?<!\\)\[[^\[\]|]*\|[^\[\]]*\]"), "alternating words"),
    (re.compile(r"\bAND\b"), "AND of several prompts"),
)
"""What AUTOMATIC1111 reads as more than words, and this studio does not."""

TAG = re.compile(r"<lora:([^<>:]+)((?::[^<>:]*)*)>")


@dataclass(frozen=True)
class Wording:
    """The texts that are encoded, the LoRAs with their weights, and what was added, for people."""

    prompt: str
    negative_prompt: str
    prompt_2: str
    loras: tuple[tuple[Lora, float], ...]
    notes: tuple[str, ...]


def resolve(registry: Registry, request: GenerationRequest) -> Wording:
    """Raises `UnknownName`, `ModelError`, or `RequestError` (a LoRA asked for twice, a tag out of place)."""
    for text, name in ((request.negative_prompt, "negative prompt"), (request.prompt_2, "second prompt")):
        found = TAG.search(text)
        if found:
            raise RequestError(f"The {name} holds {found[0]}; LoRAs belong into the prompt or the stack.")
    prompt, tagged = _without_tags(registry, request.prompt)
    stack = [(registry.lora(use.name), use.weight) for use in request.loras]
    loras = stack + tagged
    names = [lora.name for lora, _ in loras]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError(f"The LoRA {twice} is asked for twice; keep one, in the stack or in the prompt.")
    if len(loras) > MAX_LORAS:
        raise RequestError(f"{len(loras)} LoRAs are asked for; at most {MAX_LORAS} are possible.")
    notes = _unread(request)
    for lora, weight in loras:
        # At weight 0 nothing of it is used, and a negative one turns it away: no trigger is wanted.
        if lora.trigger and weight > 0 and not _holds(f"{prompt}, {request.prompt_2}", lora.trigger):
            prompt = f"{prompt.rstrip().rstrip(',')}, {lora.trigger}" if prompt.strip() else lora.trigger
            notes.append(f"Added to the prompt: {lora.trigger} (the trigger of {lora.name}).")
    return Wording(prompt, request.negative_prompt, request.prompt_2, tuple(loras), tuple(notes))


def _unread(request: GenerationRequest) -> list[str]:
    """A sentence for each thing that AUTOMATIC1111 would read otherwise."""
    text = "\n".join((request.prompt, request.negative_prompt, request.prompt_2))
    return [
        f"{found[0][:60]} is read as plain words: {what} is not supported."
        for pattern, what in UNREAD
        if (found := pattern.search(text))
    ]


def without_tags(prompt: str) -> str:
    """The words that are left when `<lora:...>` is taken out."""
    if not TAG.search(prompt):
        return prompt
    return re.sub(r"[ \t]{2,}", " ", re.sub(r"\s+,", ",", TAG.sub(" ", prompt))).strip()


def _without_tags(registry: Registry, prompt: str) -> tuple[str, list[tuple[Lora, float]]]:
    tagged = []
    for found in TAG.finditer(prompt):
        lora = registry.lora(_known_as(registry, found[1].strip()))
        weights = [part.strip() for part in found[2].split(":")[1:]]
        if len(weights) > 1:
            raise RequestError(f"{found[0]} has more than one weight; write it as <lora:{found[1]}:1>.")
        tagged.append((lora, _weight(found[0], weights[0]) if weights else lora.weight))
    return without_tags(prompt), tagged


def _weight(tag: str, text: str) -> float:
    try:
        return LoraUse.of(name="tag", weight=float(text)).weight
    except (ValueError, RequestError):
        raise RequestError(f"The weight in {tag} must be a number from -2 to 2.") from None


def _known_as(registry: Registry, name: str) -> str:
    """A LoRA's name, or the last part of its path when only one has it."""
    names = [lora.name for lora in registry.loras()]
    if name in names:
        return name
    same = [each for each in names if each.rpartition("/")[2] == name]
    return same[0] if len(same) == 1 else name


def _holds(prompt: str, trigger: str) -> bool:
    """Whether the prompt has the trigger as whole words already, whatever its case and spacing."""
    words = r"\s+".join(re.escape(word) for word in trigger.split())
    return re.search(rf"(?<!\w){words}(?!\w)", prompt, re.IGNORECASE) is not None
