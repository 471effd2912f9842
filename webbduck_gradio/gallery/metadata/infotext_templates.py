"""The template that a picture's prompt was drawn from: written, and told of when a picture is recalled.

The prompt of `parameters` is the drawn one, as A1111 users expect. The extension sd-dynamic-prompts writes
the template in lines below the settings, by which A1111 without that extension takes the settings for a part
of the prompt (modules/infotext_utils.py reads them from the last line). Here it is a pair of the settings;
both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models.dynamic_prompts import files_read, literal
from ...models.wildcards import WildcardFolder
from ...request import GenerationRequest

KEYS = {"prompt": "Template", "negative_prompt": "Negative Template"}
TEXTS = ("prompt", "negative_prompt", "prompt_2", "hires_prompt", "hires_negative_prompt")
SHOWN = 300
"""Characters of a template in a note."""


def pairs(request: GenerationRequest, facts: Mapping[str, Any]) -> dict[str, str]:
    """`request`: with the templates; `facts`: of its picture."""
    drawn = facts.get("drawn")
    return {key: getattr(request, name) for name, key in KEYS.items() if name in (drawn or ())}


def note(found: Mapping[str, Any], wildcards: WildcardFolder | None = None) -> str | None:
    """What is said of the template of a picture (`chunk.TextMetadata`) when its drawn texts are recalled."""
    facts = (found["webbduck"] or {}).get("facts") or {}
    if found["request"]:
        templates = [found["request"][name] for name in KEYS if name in (facts.get("drawn") or ())]
    else:
        templates = [found["fields"][key] for key in KEYS.values() if found["fields"].get(key)]
    if not templates:
        return None
    shown = " / ".join(each if len(each) <= SHOWN else f"{each[: SHOWN - 3]}..." for each in templates)
    text = f"This prompt was drawn from the template {shown}"
    if wildcards is not None and (changed := changed_files(wildcards, facts)):
        return f"{text}; it may come to another now, since {changed}."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def changed_files(wildcards: WildcardFolder, facts: Mapping[str, Any]) -> str | None:
    """Which of the files that a picture was drawn from are not as they were: "a.txt has changed"."""
    changed = [file for file, digest in files_read(facts).items() if wildcards.digest(file) != digest]
    if not changed:
        return None
    verb = "has" if len(changed) == 1 else "have"
    return f"{', '.join(changed[:5])} {verb} changed"


def escape(wanted: dict[str, Any]) -> None:
    """Escape the texts of another program's picture, which are finished ones, where they would be drawn."""
    for name in TEXTS:
        if isinstance(wanted.get(name), str):
            wanted[name] = literal(wanted[name])
