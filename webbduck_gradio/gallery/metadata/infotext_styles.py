"""Styles in A1111's `parameters` text, which holds the finished prompts and no names.

Names are found again as A1111 does: by what the styles of styles.csv add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...models import styles
from ...models.style_book import StyleBook
from ...request.region_fields import SEPARATOR, SKIPPED
from ...request.style_fields import StyleUse
from .other_tools.values import listed

FINISHED_BY = ("a1111", "sdnext", "webbduck")
"""Programs whose text holds finished prompts."""


def recall(found: Mapping[str, Any], fields: dict[str, Any], book: StyleBook) -> list[str]:
    """Find the styles of another program's picture in its prompts, into `fields`; for one of our own, what
    has changed since. Returns a sentence for each."""
    if found["request"] is not None:
        uses = [StyleUse.model_validate(each) for each in fields.get("styles") or ()]
        return styles.changes(book, uses)
    if found["tool"] not in FINISHED_BY:
        return []
    uses_found, prompt, negative = styles.extracted(
        book.styles(), fields.get("prompt") or "", fields.get("negative_prompt") or ""
    )
    others = _others_without(uses_found, fields)
    if not uses_found or others is None:
        return []
    fields |= {
        **others,
        "prompt": prompt,
        "negative_prompt": negative,
        "styles": [use.model_dump(mode="json") for use in uses_found],
    }
    names = listed([use.name for use in uses_found])
    one = len(uses_found) == 1
    return [
        f"Its prompt holds what the style{'' if one else 's'} {names} add{'s' if one else ''}, which "
        f"{'is' if one else 'are'} chosen instead; the finished prompt is the same."
    ]


def _others_without(uses: Sequence[StyleUse], fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The prompts of the hires pass and of detail passes without the styles; None if one is without them, as
    it would get them then."""
    texts = {name: [getattr(use, name) or "" for use in uses] for name in ("prompt", "negative_prompt")}

    def without(text: str, of: str) -> str | None:
        parts = [part.strip() for part in text.split(SEPARATOR)]
        bare = [p if p in ("", SKIPPED) else styles.taken_out(texts[of], p) for p in parts]
        return None if None in bare else f" {SEPARATOR} ".join(map(str, bare))

    found: dict[str, Any] = {
        f"hires_{name}": without(fields[f"hires_{name}"], name)
        for name in texts
        if fields.get(f"hires_{name}")
    }
    found["details"] = [
        {**each, **{name: without(each.get(name) or "", name) for name in texts}}
        for each in fields.get("details") or ()
    ]
    told = [*found.values(), *(each[name] for each in found["details"] for name in texts)]
    return None if None in told else found
