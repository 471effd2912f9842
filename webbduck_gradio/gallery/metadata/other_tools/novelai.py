"""NovelAI: its text chunks, or the same hidden in the alpha channel (see `stealth_alpha`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import values
from .values import ForeignSettings

_SOURCE = re.compile(r"(.{1,200}?)\s+([0-9A-Fa-f]{8})")
_BRACES = re.compile(r"[{}]|(?<!\d)-?\d{1,3}(?:\.\d{1,3})?::")
NAMED = {
    "sm": "SMEA",
    "sm_dyn": "SMEA DYN",
    "dynamic_thresholding": "decrisper",
    "cfg_rescale": "CFG rescale",
    "controlnet_model": "ControlNet",
    "reference_image": "a reference picture",
    "reference_image_multiple": "reference pictures",
}


def read(texts: Mapping[str, Any]) -> ForeignSettings:
    """The settings of the JSON chunk `Comment`."""
    comment = values.json_value(texts.get("Comment"))
    if not isinstance(comment, dict) or not (
        "uc" in comment or "sampler" in comment or "v4_prompt" in comment
    ):
        return ForeignSettings()
    notes: list[str] = []
    prompt, negative = _prompts(texts, comment, notes)
    source = _SOURCE.fullmatch(values.text(texts.get("Source"))[:300])
    img2img = comment.get("request_type", "Img2ImgRequest") != "PromptGenerateRequest"
    settings = {
        **values.single_keys("novelai", comment),
        "prompt": prompt,
        "negative_prompt": negative,
        "sampler": values.text(comment.get("sampler")) or None,
        "schedule": comment.get("noise_schedule") if comment.get("noise_schedule") != "native" else None,
        "base_model": source[1] if source else values.text(texts.get("Source")) or None,
        "model_hash": source[2] if source else None,
        "strength": comment.get("strength") if img2img else None,
    }
    ignored = [name for key, name in NAMED.items() if comment.get(key) not in (None, False, 0, [], "", 0.0)]
    if ignored:
        notes.append(f"Not taken over from NovelAI: {', '.join(ignored)}.")
    if _BRACES.search(prompt + negative):
        notes.append(
            "NovelAI's emphasis ({words}, 1.5::words::) is plain text here; write it as (words:1.05)."
        )
    return ForeignSettings("novelai", values.known(settings, notes), tuple(notes))


def _prompts(texts: Mapping[str, Any], comment: Mapping[str, Any], notes: list[str]) -> tuple[str, str]:
    """Prompt and negative prompt. Version 4 has one text for the image and one per character."""
    found = []
    for key, fallback in (("v4_prompt", comment.get("prompt") or texts.get("Description")),
                       ("v4_negative_prompt", comment.get("uc"))):  # fmt: skip
        caption = values.table(values.table(comment.get(key)).get("caption"))
        characters = [
            words
            for each in values.rows(caption.get("char_captions"))[:20]
            if (words := values.text(values.table(each).get("char_caption")))
        ]
        if characters:
            notes.append(
                f"Left out, since each was for one character: {values.shown(' | '.join(characters), 200)}."
            )
        found.append(values.text(caption.get("base_caption")) or values.text(fallback).strip())
    return found[0], found[1]
