"""NovelAI: its text chunks, or the same hidden in the alpha channel, which `stealth_alpha` finds."""

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
    """The settings of the chunk `Comment`, which is JSON."""
    own = values.json_value(texts.get("Comment"))
    if not isinstance(own, dict) or not ("uc" in own or "sampler" in own or "v4_prompt" in own):
        return ForeignSettings()
    notes: list[str] = []
    prompt, negative = _prompts(texts, own, notes)
    source = _SOURCE.fullmatch(values.text(texts.get("Source"))[:300])
    img2img = own.get("request_type", "Img2ImgRequest") != "PromptGenerateRequest"
    settings = {
        **values.single_keys("novelai", own),
        "prompt": prompt,
        "negative_prompt": negative,
        "scheduler": values.text(own.get("sampler")).removeprefix("k_") or None,
        "schedule": own.get("noise_schedule") if own.get("noise_schedule") != "native" else None,
        "base_model": source[1] if source else values.text(texts.get("Source")) or None,
        "model_hash": source[2] if source else None,
        "strength": own.get("strength") if img2img else None,
    }
    left = [name for key, name in NAMED.items() if own.get(key) not in (None, False, 0, [], "", 0.0)]
    if left:
        notes.append(f"Not taken over from NovelAI: {', '.join(left)}.")
    if _BRACES.search(prompt + negative):
        notes.append(
            "NovelAI's emphasis ({words}, 1.5::words::) is plain text here; write it as (words:1.05)."
        )
    return ForeignSettings("novelai", values.known(settings, notes), tuple(notes))


def _prompts(texts: Mapping[str, Any], own: Mapping[str, Any], notes: list[str]) -> tuple[str, str]:
    """Version 4 keeps a text for the picture and one for each character."""
    found = []
    for key, usual in (("v4_prompt", own.get("prompt") or texts.get("Description")),
                       ("v4_negative_prompt", own.get("uc"))):  # fmt: skip
        caption = values.table(values.table(own.get(key)).get("caption"))
        characters = [
            words
            for each in values.rows(caption.get("char_captions"))[:20]
            if (words := values.text(values.table(each).get("char_caption")))
        ]
        if characters:
            notes.append(
                f"Left out, since each was for one character: {values.shown(' | '.join(characters), 200)}."
            )
        found.append(values.text(caption.get("base_caption")) or values.text(usual).strip())
    return found[0], found[1]
