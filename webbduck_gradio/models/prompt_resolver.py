"""What a prompt as typed comes to: styles put in, wildcards drawn, `<lora:name:weight>` taken out, trigger
phrases put in.

Done in one place, so that the page can show, and the metadata record, exactly what the text encoders get.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import RequestError
from ..request import MAX_LORAS, GenerationRequest, LoraSelection
from . import dynamic_prompts, lora_tags
from .catalog.lookup import quoted
from .catalog.registry import Lora, Registry
from .dynamic_prompts import Drawn
from .embeddings import NO_EMBEDDINGS, Embedding, EmbeddingIndex
from .lora_uses import LoraUse
from .named_embeddings import index_of, named_embeddings
from .prompt_schedule import (
    PromptSchedule,
    count_of,
    is_taken_whole,
    prompt_schedule,
    texts_of,
    with_words,
)
from .prompt_syntax import CHANGES, LONGEST_SHOWN, LORA_TAG, not_understood
from .styles import all_finished, put_in
from .tokens import parse

WEIGHTS = (0.001, 100.0)
"""Least and greatest weight of a word, beside 0; encoders of half precision overflow not far above."""

TEXTS = ("prompt", "negative prompt", "second prompt")

ADDED = "Added to the prompt: "
TAKEN_WHOLE = "Nothing in the"


@dataclass(frozen=True)
class ResolvedPrompt:
    """The texts that are encoded, the LoRAs with their weights, and what was added, for people."""

    prompt: str
    negative_prompt: str
    prompt_2: str
    uses: tuple[LoraUse, ...]
    notes: tuple[str, ...]
    schedule: PromptSchedule
    """What the texts come to in the request's first pass."""
    embeddings: tuple[Embedding, ...] = ()
    """Those that the texts name and the request's checkpoint can use."""
    index: EmbeddingIndex = NO_EMBEDDINGS
    """All that its texts could name when the prompt was resolved."""
    drawn: Drawn | None = None
    """What wildcards and variants came to, before LoRA tags were taken out; None without any."""

    @property
    def loras(self) -> tuple[tuple[Lora, float], ...]:
        """The LoRAs with their weights in the UNet."""
        return tuple((use.lora, use.weight) for use in self.uses)


def resolve_prompt(
    registry: Registry,
    request: GenerationRequest,
    index: int = 0,
    main: GenerationRequest | None = None,
    stream: str = "",
) -> ResolvedPrompt:
    """What image `index` of the batch gets. `main`: the picture's request, if this is the one of its hires
    pass or of a region; `stream` distinguishes these.

    Raises `NotFoundError` (also for a wildcard), `ModelError`, `RequestError` (a LoRA asked for twice, a tag
    out of place).
    """
    request, notes = put_in(registry.styles, request)
    typed = _texts_of(request)
    drawn = dynamic_prompts.draw_texts(
        registry.wildcard_folder,
        typed,
        request.seed_of(index),
        None if request.combination is None else request.combination + index,
        None if main is None else _texts_of(put_in(registry.styles, main)[0]),
        stream,
    )
    prompt, negative_prompt, prompt_2 = (drawn.texts[name] for name in typed)
    for text, name in zip((negative_prompt, prompt_2), TEXTS[1:], strict=True):
        found = LORA_TAG.search(text)
        if found:
            raise RequestError(
                f"The {name} holds {_short(found[0])}; LoRAs belong into the prompt or the stack."
            )
    notes += [note for text in typed.values() for note in dynamic_prompts.problems(text)]
    prompt, tagged = _without_tags(registry, request.model_copy(update={"prompt": prompt}), notes)
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
        if lora.trigger and use.weight > 0 and not _holds(f"{prompt}, {prompt_2}", lora.trigger):
            prompt = with_words(prompt, lora.trigger)
            notes.append(f"{ADDED}{lora.trigger} (the trigger of {lora.name}).")
    texts = (prompt, negative_prompt, prompt_2)
    count = count_of(request)
    encoded = [texts_of(text, count, joins=name == TEXTS[0]) for text, name in zip(texts, TEXTS, strict=True)]
    _check_weights(encoded)
    every = [text for each in encoded for text in each]
    is_own = main is None or main.base_model == request.base_model
    named = named_embeddings(registry, request, every, is_own)
    unread = [*not_understood("\n".join(every)), *_taken_whole(texts), *named.notes]
    schedule = prompt_schedule(*texts, count)
    there = index_of(registry, request)
    kept = drawn if dict(drawn.texts) != typed else None
    notes = [*unread, *notes]
    return ResolvedPrompt(*texts, tuple(uses), tuple(notes), schedule, named.embeddings, there, kept)


def _texts_of(request: GenerationRequest) -> dict[str, str]:
    return {name: getattr(request, name) for name in dynamic_prompts.LABELS}


def varies(request: GenerationRequest) -> bool:
    """Whether each image of the batch may have texts of its own."""
    request = all_finished(request)
    own = (*_texts_of(request).values(), request.hires_prompt, request.hires_negative_prompt)
    return any(map(dynamic_prompts.is_dynamic, own)) or details_vary(request)


def details_vary(request: GenerationRequest) -> bool:
    """Whether the detail passes of each image may have texts of their own."""
    details = all_finished(request).details
    return any(dynamic_prompts.is_dynamic(f"{each.prompt}\n{each.negative_prompt}") for each in details)


def _taken_whole(texts: Sequence[str]) -> Iterator[str]:
    for text, name in zip(texts, TEXTS, strict=True):
        if is_taken_whole(text):
            yield (
                f"{TAKEN_WHOLE} {name} changes from step to step, since a | outside [ ] or a \\ before "
                "nothing makes all of it plain words, as in A1111; take that out."
            )


def _check_weights(encoded: Sequence[Sequence[str]]) -> None:
    """Raises `RequestError` for a word whose weight is beyond what the text encoders can hold. `encoded`:
    what each of `TEXTS` comes to."""
    least, most = WEIGHTS
    for texts, name in zip(encoded, TEXTS, strict=True):
        for piece in (piece for text in texts for piece in parse(text)):
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


def is_about_steps(note: str) -> bool:
    """Whether a note tells that something looks like words that change from step to step, and is none."""
    return note.startswith(TAKEN_WHOLE) or note.endswith(tuple(f": {each}." for each in CHANGES))


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
