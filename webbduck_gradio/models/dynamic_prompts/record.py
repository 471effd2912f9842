"""What a picture's metadata keep of its draws: its request holds the templates, its facts what was drawn.

drawn            {field: text} of each text of the request that came to another one
draws            [{field, source, text, file, line}], line by line which value was taken
wildcard_files   {file: digest} of what was read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...request import GenerationRequest
from ...request.region_fields import SEPARATOR, SKIPPED
from ..styles import all_finished
from .drawing import Drawn
from .syntax import is_dynamic, literal

TEXTS = ("prompt", "negative_prompt", "prompt_2", "hires_prompt", "hires_negative_prompt")
OF_HIRES = {"prompt": "hires_prompt", "negative_prompt": "hires_negative_prompt"}
OF_DETAILS = ("prompt", "negative_prompt")
Region = tuple[GenerationRequest, Drawn | None] | None
"""The request of a region of a detail pass, and what its texts came to; None for one that is left alone."""


def draw_facts(request: GenerationRequest, first: Drawn | None, hires: Drawn | None = None) -> dict[str, Any]:
    """The facts of a picture. `first`, `hires`: what the texts of its passes came to."""
    record = _Record()
    request = all_finished(request)
    for found, names in ((first, {name: name for name in TEXTS}), (hires, OF_HIRES)):
        for field, text in (found.texts if found else {}).items():
            name = names.get(field)
            if name is None or not getattr(request, name):  # the hires pass has those of the first
                continue
            if text != getattr(request, name):
                record.drawn[name] = text
                record.add(name, found, field)
    return record.facts()


def draw_facts_of_details(request: GenerationRequest, passes: Sequence[Sequence[Region]]) -> dict[str, Any]:
    """As `draw_facts`, of the regions of each detail pass. A prompt that names the same text for all of them
    comes to one for each."""
    record = _Record()
    request = all_finished(request)
    for number, regions in enumerate(passes):
        for field in OF_DETAILS:
            if not is_dynamic(getattr(request.details[number], field)):
                continue
            name, parts = f"details.{number}.{field}", []
            for region in regions:
                own, found = (all_finished(region[0]), region[1]) if region else (None, None)
                parts.append(SKIPPED if own is None else found.texts[field] if found else getattr(own, field))
                record.add(name, found, field)
            record.drawn[name] = SEPARATOR.join(parts)
    return record.facts()


class _Record:
    def __init__(self) -> None:
        self.drawn: dict[str, str] = {}
        self._draws: list[dict[str, Any]] = []
        self._files: dict[str, str] = {}

    def add(self, name: str, found: Drawn | None, field: str) -> None:
        for each in found.draws.get(field, ()) if found else ():
            self._draws.append(
                {
                    "field": name,
                    "source": each.source,
                    "text": each.text,
                    "file": each.file,
                    "line": each.line,
                }
            )
        self._files |= found.files if found else {}

    def facts(self) -> dict[str, Any]:
        parts = {"drawn": self.drawn, "draws": self._draws, "wildcard_files": self._files}
        return {key: value for key, value in parts.items() if value}


def with_drawn_texts(request: GenerationRequest, facts: Mapping[str, Any], again: bool) -> GenerationRequest:
    """The request with what its texts came to, without draws left. `again`: the texts are escaped where a
    request has to be, so that it draws the same picture; else they are as they were encoded.

    A request whose picture was made before there were draws has texts that were taken as they stood.
    """
    drawn = {**_texts(facts.get("drawn")), **_texts(_table(facts.get("details_drawn")).get("drawn"))}

    if drawn:
        request = all_finished(request)  # the drawn texts have the styles in them

    def text(name: str, own: str) -> str:
        found = drawn.get(name, own) if own else own  # a stage's request lacks later passes
        return literal(found) if again else found

    changed: dict[str, Any] = {name: text(name, getattr(request, name)) for name in TEXTS}
    changed["details"] = tuple(
        each.model_copy(
            update={name: text(f"details.{number}.{name}", getattr(each, name)) for name in OF_DETAILS}
        )
        for number, each in enumerate(request.details)
    )
    if drawn:
        changed["combination"] = None
    return request.model_copy(update=changed)


def files_read(facts: Mapping[str, Any]) -> dict[str, str]:
    """Digest of each wildcard file that a picture's draws came from."""
    tables = (facts, _table(facts.get("details_drawn")))
    return {file: digest for each in tables for file, digest in _texts(each.get("wildcard_files")).items()}


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {key: text for key, text in _table(value).items() if isinstance(text, str)}
