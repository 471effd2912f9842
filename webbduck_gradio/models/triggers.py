"""Trigger phrases: only what a model's file or its owner states as one, never what statistics suggest."""

from __future__ import annotations

import re

LONGEST = 500
"""Letters of a phrase that are taken."""
NOTHING = frozenset(
    {
        "null", "none", "nil", "nan", "n/a", "na", "n.a", "undefined", "unknown", "unspecified", "no",
        "false", "true", "tbd", "todo", "not set", "not available", "not applicable", "not specified",
        "not needed", "not required", "no trigger", "no triggers", "no trigger word", "no trigger words",
        "no trigger phrase", "no trigger needed", "no trigger word needed", "no trigger words needed",
        "none needed", "none required", "no need", "see description", "trigger", "trigger word",
        "trigger words", "trigger phrase", "trigger_word", "trigger_words", "trigger_phrase", "triggerword",
        "activation text", "activation_text", "your trigger word",
    }
)  # fmt: skip
"""What programs and people write where there is none; small letters, without marks around."""
TAGS = re.compile(r"<(?:lora|lyco)\s*:[^<>]*>", re.IGNORECASE)
"""Asking for the LoRA itself, which some note in their activation text."""


def phrase(text: object) -> str:
    """The phrase in `text`, "" where it holds none."""
    if not isinstance(text, str):
        return ""
    kept = re.sub(r"\s+", " ", TAGS.sub(" ", readable(text))).strip(" ,;")
    bare = kept.strip(" .,;:!?()[]{}<>*_-\"'").casefold()
    if not any(letter.isalnum() for letter in bare) or bare in NOTHING:
        return ""
    return kept[:LONGEST]


def readable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can hold and nothing can write or encode."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
