"""The Studio's prompts, their token counts, and saved prompts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import gradio as gr

from ...api.gradio_helpers import error_as_dict
from ...errors import WebbDuckError
from ...models import prompt_resolver, tokens
from ...models.catalog.registry import Checkpoint, Registry
from ...models.embeddings import NO_EMBEDDINGS, EmbeddingIndex
from ...models.prompt_schedule import count_of, texts_of
from ...models.steps_notes import COUNTED_BY, HIRES_COUNTED_BY, PROMPTS, steps_notes
from ...models.vocabulary import Vocabulary
from ...request import MAX_PROMPT, SETTINGS, GenerationRequest
from ...services import Services
from ..modules import start_view
from ..theme import asset
from . import styles, wildcards
from .controls import build_one
from .lora_stack import to_request
from .preset_store import PresetStore


def build(services: Services, fields: dict[str, Any], presets: PresetStore) -> None:
    """Build the prompt, what is below it, and the negative prompt."""

    def webbduck_tokens(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: counted(services.registry, asked if isinstance(asked, dict) else {}))

    def webbduck_prompts(_: Any) -> dict[str, Any]:
        return error_as_dict(presets.content)

    def webbduck_keep_prompt(asked: Any) -> dict[str, Any]:
        return error_as_dict(lambda: presets.keep_prompt(asked.get("prompt"), asked.get("negative_prompt")))

    def webbduck_drop_prompt(entry_id: Any) -> dict[str, Any]:
        return error_as_dict(lambda: presets.drop_prompt(entry_id))

    build_one(fields, SETTINGS["prompt"], lines=3, max_lines=8, autofocus=True)
    gr.HTML(
        "",
        html_template=asset("studio/prompt_box.html"),
        js_on_load=start_view("studio/prompt_box.js"),
        elem_id="prompt-foot",
        apply_default_css=False,
        server_functions=[webbduck_tokens, webbduck_prompts, webbduck_keep_prompt, webbduck_drop_prompt],
    )
    wildcards.build(services)
    styles.build(services, fields)
    build_one(fields, SETTINGS["negative_prompt"], lines=1)


def bracket_notes(texts: Mapping[str, str]) -> list[str]:
    """A sentence for the brackets of each prompt that are never closed, and for those that close nothing."""
    notes = []
    for name, text in texts.items():
        text = prompt_resolver.without_tags(text)
        where = SETTINGS[name].label_in_sentence
        alone = tokens.unpaired(text)
        for weighs in (True, False):
            found = [each for each in alone if each.weighs == weighs]
            if not found:
                continue
            bracket, at = found[0].bracket, found[0].position
            excerpt = " ".join(text[max(0, at - 12) : at + 13].split())
            several = len(found) > 1
            if several:
                subject = f'{len(found)} brackets of the {where}, the first in "{excerpt}",'
            else:
                subject = f'The {bracket} in "{excerpt}" of the {where}'
            if weighs:
                notes.append(
                    f"{subject} {'are' if several else 'is'} never closed and "
                    f"{'change' if several else 'changes'} the weight of all that follows; "
                    f"write \\{bracket} for a plain bracket."
                )
            else:
                notes.append(
                    f"{subject} {'have' if several else 'has'} no counterpart and "
                    f"{'are' if several else 'is'} read as plain text."
                )
    return notes


def counted(registry: Registry, asked: dict[str, Any]) -> dict[str, Any]:
    """Token counts of each prompt as the text encoders get it, trigger phrases included: see `tokens.count`,
    and `split`, see `tokens.is_split`; of a prompt that comes to several texts the longest one's.

    `finished`: these prompts, where styles are chosen, else None;
    `problem`: the error that Generate would give for these prompts, or None; `added`: notes about what is
    added to the prompt; `unknown`: what the checkpoint says of words that it does not know, or "", see
    `models.vocabulary`; None if it has no vocabulary; `brackets`: see `bracket_notes`; `steps`: see
    `steps_notes`; `long`: length in characters of each prompt that is too long, if there are any.
    """
    texts = {name: str(asked.get(name) or "") for name in PROMPTS}
    long = {name: len(text) for name, text in texts.items() if len(text) > MAX_PROMPT}
    if long:  # Generate would be refused, so do not spend time on counting
        messages = [
            f"{SETTINGS[name].label} has {size:,} of at most {MAX_PROMPT:,} characters; shorten it."
            for name, size in long.items()
        ]
        texts |= dict.fromkeys(long, "")
        return {name: _count(text) for name, text in texts.items()} | {
            "added": [],
            "brackets": [],
            "steps": [],
            "unknown": None,
            "problem": " ".join(messages),
            "finished": None,
            "long": long,
        }
    added: list[str] = []
    finished = None
    brackets = bracket_notes(texts)
    problem = None
    steps: list[str] = []
    name = asked.get("base_model")
    checkpoint = next((each for each in registry.checkpoints() if each.name == name), None)
    vocabulary = checkpoint.vocabulary if checkpoint else None
    unknown = "" if vocabulary else None
    embeddings = registry.embedding_index.fitting(checkpoint)
    encoded: dict[str, tuple[str, ...]] = {name: (text,) for name, text in texts.items()}
    try:
        seed = asked.get("seed")
        # Of a random seed's draws one is counted, the same each time.
        seed = seed if isinstance(seed, int) and seed >= 0 else 0
        chosen = {"loras": to_request(asked.get("loras")), "styles": styles.to_request(asked.get("styles"))}
        request = _request(asked, checkpoint, texts | chosen | {"seed": seed})
        resolved = prompt_resolver.resolve_prompt(registry, request)
    except WebbDuckError as error:
        problem = str(error)
    else:
        count = count_of(request)
        encoded = {name: texts_of(getattr(resolved, name), count, joins=name == "prompt") for name in PROMPTS}
        added = list(resolved.notes)
        steps = steps_notes(registry, request, resolved)
        finished = {each: getattr(resolved, each) for each in PROMPTS} if request.styles else None
        if vocabulary:
            unknown = _unknown(vocabulary, resolved, encoded)
    return {name: _longest(each, embeddings) for name, each in encoded.items()} | {
        "added": added,
        "brackets": brackets,
        "steps": steps,
        "unknown": unknown,
        "problem": problem,
        "finished": finished,
    }


def _request(
    asked: Mapping[str, Any], checkpoint: Checkpoint | None, texts: Mapping[str, Any]
) -> GenerationRequest:
    """A request with these texts, and with what the form says of the steps if that is valid."""
    model = checkpoint.name if checkpoint else "any"
    given = {name: value for name, value in asked.items() if value not in (None, "")}
    for names in ((*COUNTED_BY, *HIRES_COUNTED_BY), COUNTED_BY):
        counted_by = {name: given[name] for name in names if name in given}
        with contextlib.suppress(WebbDuckError):
            return GenerationRequest.validated(base_model=model, **texts, **counted_by)
    return GenerationRequest.validated(base_model=model, **texts)


def _unknown(
    vocabulary: Vocabulary,
    resolved: prompt_resolver.ResolvedPrompt,
    encoded: Mapping[str, tuple[str, ...]],
) -> str:
    known = [lora.trigger for lora, _ in resolved.loras]
    known += [f"embedding {each.name}" for each in resolved.embeddings]
    return vocabulary.warning((*encoded["prompt"], *encoded["prompt_2"]), known)


def _longest(texts: tuple[str, ...], embeddings: EmbeddingIndex) -> dict[str, Any]:
    counts = [_count(text, embeddings) for text in texts]
    return max(counts, key=lambda each: (each["chunks"], each["tokens"]))


def _count(text: str, embeddings: EmbeddingIndex = NO_EMBEDDINGS) -> dict[str, Any]:
    return {**tokens.count(text, embeddings), "split": tokens.is_split(text, embeddings)}
