"""Completion of words, by the cases that the page is held to as well (tests/js/completion.test.mjs)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webbduck_gradio.models.completion import Word, Words, complete
from webbduck_gradio.models.tags import merged, read_tags

RULES = json.loads((Path(__file__).parents[1] / "rules" / "completion.json").read_text(encoding="utf-8"))
TAGS = merged([read_tags(RULES["tag_file"])[0]])
WORDS = Words(**{kind: [Word(**each) for each in words] for kind, words in RULES["words"].items()}, tags=TAGS)


def test_the_page_gets_this_text() -> None:
    assert TAGS.text == RULES["tag_text"]


@pytest.mark.parametrize("case", RULES["cases"], ids=lambda case: case["text"])
def test_this_text_is_completed_to_this(case: dict[str, Any]) -> None:
    text = case["text"]
    found = complete(text.replace("¦", ""), text.index("¦"), WORDS)
    assert {"text": text, **found} == case
