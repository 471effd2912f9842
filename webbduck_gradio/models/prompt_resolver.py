"""What a prompt as typed comes to: `<lora:name:weight>` taken out, trigger phrases put in.

Done in one place, so that the page can show, and the metadata record, exactly what the text encoders get.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import RequestError
from ..request import MAX_LORAS, GenerationRequest, LoraSelection
from . import lora_tags
from .catalog.lookup import quoted
from .catalog.registry import Lora, Registry
from .lora_uses import LoraUse
from .probe.lora import EMBEDDING
from .prompt_syntax import LONGEST_SHOWN, LORA_TAG, not_understood
from .tokens import parse

WEIGHTS = (0.001, 100.0)
"""Least and greatest weight of a word, beside 0; encoders of half precision overflow not far above."""

TEXTS = ("prompt", "negative prompt", "second prompt")

ADDED = "Added to the prompt: "


@dataclass(frozen=True)
class ResolvedPrompt:
    """The texts that are encoded, the LoRAs with their weights, and what was added, for people."""

    prompt: str
    negative_prompt: str
    prompt_2: str
    uses: tuple[LoraUse, ...]
    notes: tuple[str, ...]

    @property
    def loras(self) -> tuple[tuple[Lora, float], ...]:
        """The LoRAs with their weights in the UNet."""
        return tuple((use.lora, use.weight) for use in self.uses)


def resolve_prompt(registry: Registry, request: GenerationRequest) -> ResolvedPrompt:
    """Raises `NotFoundError`, `ModelError`, `RequestError` (a LoRA asked for twice, a tag out of place)."""
    for text, name in zip((request.negative_prompt, request.prompt_2), TEXTS[1:], strict=True):
        found = LORA_TAG.search(text)
        if found:
            raise RequestError(
                f"The {name} holds {_short(found[0])}; LoRAs belong into the prompt or the stack."
            )
    notes: list[str] = []
    prompt, tagged = _without_tags(registry, request, notes)
    uses = [LoraUse.of(registry.lora(chosen.name), chosen) for chosen in request.loras] + tagged
    names = [use.lora.name for use in uses]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError(f"The LoRA {twice} is asked for twice; keep one, in the stack or in the prompt.")
    if len(uses) > MAX_LORAS:
        raise RequestError(f"{len(uses)} LoRAs are asked for; at most {MAX_LORAS} are possible.")
    for use in uses:
        lora = use.lora
        # At weight 0 nothing of it is used, and a negative one turns it away: no trigger is wanted.
        if lora.trigger and use.weight > 0 and not _holds(f"{prompt}, {request.prompt_2}", lora.trigger):
            prompt = f"{prompt.rstrip().rstrip(',')}, {lora.trigger}" if prompt.strip() else lora.trigger
            notes.append(f"{ADDED}{lora.trigger} (the trigger of {lora.name}).")
    texts = (prompt, request.negative_prompt, request.prompt_2)
    _check_weights(texts)
    everything = "\n".join(texts)
    unread = not_understood(everything) + _embeddings(registry, everything)
    return ResolvedPrompt(*texts, tuple(uses), tuple(unread + notes))


def _embeddings(registry: Registry, text: str) -> list[str]:
    """A sentence for each installed embedding that is asked for by its name alone, as in AUTOMATIC1111."""
    names = [lora.name for lora in registry.loras() if lora.unusable and EMBEDDING in lora.unusable]
    return [
        f"{name} is read as plain words: the embedding of that name cannot be applied yet."
        for name in names
        if _holds(text, name.rpartition("/")[2])
    ]


def _check_weights(texts: tuple[str, str, str]) -> None:
    """Raises `RequestError` for a word whose weight is beyond what the text encoders can hold."""
    least, most = WEIGHTS
    for text, name in zip(texts, TEXTS, strict=True):
        for piece in parse(text):
            if piece is not None and piece[1] and not least <= abs(piece[1]) <= most:
                raise RequestError(
                    f"The {name} gives {quoted(piece[0].strip()[:40])} the weight {piece[1]:.3g}; "
                    f"0 and {least:g} to {most:g} are possible."
                )


def without_tags(prompt: str) -> str:
    """The words that are left when `<lora:...>` is taken out."""
    if not LORA_TAG.search(prompt):
        return prompt
    return re.sub(r"[ \t]{2,}", " ", re.sub(r"\s+,", ",", LORA_TAG.sub(" ", prompt))).strip()


def _without_tags(
    registry: Registry, request: GenerationRequest, notes: list[str]
) -> tuple[str, list[LoraUse]]:
    tagged = []
    for found in LORA_TAG.finditer(request.prompt):
        tag = _short(found[0])
        name, parts = _parts(registry, found[1])
        if not name.strip():
            raise RequestError(f"{tag} names no LoRA; write it as <lora:NAME:WEIGHT>.")
        lora, by = registry.lora_called(name)
        if by != "name":
            notes.append(f"{tag} is {lora.name} here, {BY[by]}.")
        try:
            told = {"weight": lora.weight, **lora_tags.settings_of(parts, request.steps)}
        except ValueError as error:
            raise RequestError(f"{tag} {error}; write it as <lora:{lora.name}:1>.") from None
        use = LoraUse.of(lora, LoraSelection.validated(name=lora.name, **told))
        if use.te_weight is not None:
            notes.append(
                f"{tag} has the weight {use.te_weight:g} in the text encoders and {use.weight:g} in the UNet"
                f"{AS_A1111}"
            )
        tagged.append(use)
    return without_tags(request.prompt), tagged


BY = {
    "folder": "found by the name without its folder",
    "alias": "found by the name that its file or loras.json gives it",
    "hash": "found by its hash",
}


AS_A1111 = ", in AUTOMATIC1111's order."


def is_information(note: str) -> bool:
    """Whether a note only tells how a LoRA was taken that was asked for, so that nobody need be warned."""
    return note.startswith(ADDED) or note.endswith((AS_A1111, *(f" here, {by}." for by in BY.values())))


def _parts(registry: Registry, body: str) -> tuple[str, list[str]]:
    """A tag's name, and what follows it. The name may hold colons itself where a LoRA has such a name."""
    parts = body.split(":")
    for end in range(len(parts), 1, -1):
        name = ":".join(parts[:end])
        if registry.has_lora(name):
            return name, parts[end:]
    return parts[0], parts[1:]


def _short(tag: str) -> str:
    return tag if len(tag) <= LONGEST_SHOWN else f"{tag[: LONGEST_SHOWN - 4]}...>"


def _holds(prompt: str, trigger: str) -> bool:
    """Whether the prompt has the trigger as whole words already, whatever its case and spacing."""
    words = r"\s+".join(re.escape(word) for word in trigger.split())
    return re.search(rf"(?<!\w){words}(?!\w)", prompt, re.IGNORECASE) is not None
