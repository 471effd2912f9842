"""Descriptions in each style: true, different, and read back as what they say."""

from __future__ import annotations

import random
import re

import pytest

from webbduck_gradio.models.captioners import STYLES
from webbduck_gradio.starter.captions.templates import OPENINGS, describe, read, vocabulary
from webbduck_gradio.starter.drawing.scenes import Attributes, sample
from webbduck_gradio.starter.evaluation.captioner import hits, shares

DUCK = Attributes("duck", "yellow", "pond", "night", "left", "top hat", "red")


def some(count: int) -> list[Attributes]:
    rng = random.Random(5)
    return [sample(rng, held_out=rng.random() < 0.5) for _ in range(count)]


@pytest.mark.parametrize("style", STYLES)
def test_what_is_described_is_read_back(style: str) -> None:
    for attributes in some(150):
        said = read(describe(attributes, style))
        for name in ("colour", "subject", "setting", "time"):
            assert said[name] == getattr(attributes, name), describe(attributes, style)
        if style != "short":
            assert (said["hat"], said["hat_colour"]) == (attributes.hat, attributes.hat_colour)
        if style in ("detailed", "sd_prompt", "booru") and attributes.subject == "duck":
            assert said["facing"] == attributes.facing


def test_every_word_of_every_description_is_in_the_vocabulary() -> None:
    known = set(vocabulary())
    assert OPENINGS.keys() == set(STYLES)
    for attributes in some(150):
        texts = {describe(attributes, style) for style in STYLES}
        assert len(texts) == len(STYLES)
        for text in texts:
            assert set(re.findall(r"\w+|[^\w\s]", text)) <= known


def test_nonsense_names_nothing() -> None:
    assert set(read("something unknown").values()) == {None}


def test_shares_of_captions_with_known_mistakes() -> None:
    right = describe(DUCK, "detailed")
    wrong = right.replace("yellow duck", "green cat")
    assert all(hits(right, DUCK).values())
    assert [name for name, hit in hits(wrong, DUCK).items() if not hit] == ["colour", "subject"]
    found = shares([right, wrong, right.replace("pond", "meadow").replace("on a", "in a")], [DUCK] * 3)
    assert found["colour"] == found["subject"] == pytest.approx(2 / 3)
    assert found["setting"] == pytest.approx(2 / 3)
    assert found["time"] == 1
    boat = Attributes("boat", "red", "pond", "day", "left")
    assert "hat" not in shares([describe(boat, "short")], [boat])
