"""The captions: true of their pictures, varied, and without a form of words that gives an attribute away."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from webbduck_gradio.starter.captions.captions import article, caption, full_caption
from webbduck_gradio.starter.drawing.scenes import COLOURS, HATS, Attributes, sample

DUCK = Attributes("duck", "orange", "pond", "night", "left", "party hat", "blue")


def _many(attributes: Attributes, count: int = 400) -> list[str]:
    rng = random.Random(9)
    return [caption(attributes, rng) for _ in range(count)]


def test_the_same_lot_gives_the_same_words() -> None:
    assert caption(DUCK, random.Random(1)) == caption(DUCK, random.Random(1))


def test_no_caption_names_a_hat_that_is_not_there() -> None:
    rng = random.Random(2)
    for _ in range(1500):
        attributes = sample(rng)
        text = caption(attributes, rng).lower()
        for hat in HATS:
            if hat != attributes.hat:
                assert not re.search(rf"\b{hat}\b", text), (attributes, text)


def test_a_bare_head_is_sometimes_said_to_be_bare() -> None:
    bare = _many(replace(DUCK, hat=None, hat_colour=None))
    told = [text for text in bare if "no hat" in text.lower() or "without" in text.lower()]
    assert 0.1 < len(told) / len(bare) < 0.4


def test_colours_stand_beside_scenery_too() -> None:
    """Else any second colour in a prompt would grow a hat."""
    rng = random.Random(3)
    bare = [sample(rng) for _ in range(3000)]
    texts = [caption(a, rng).lower() for a in bare if a.subject == "duck" and a.hat is None]
    extra = [t for t in texts if len(re.findall(rf"\b({'|'.join(COLOURS)})\b", t)) > 1]
    assert len(extra) / len(texts) > 0.15


def test_captions_are_many_and_short() -> None:
    texts = _many(DUCK)
    assert len(set(texts)) > 300
    assert max(len(text.split()) for text in texts) < 35


def test_the_full_caption_names_everything() -> None:
    rng = random.Random(6)
    for _ in range(200):
        attributes = sample(rng, held_out=True)
        text = full_caption(attributes, rng)
        assert attributes.colour in text
        assert attributes.subject in text
        assert attributes.setting in text
        if attributes.hat:
            assert attributes.hat in text
        else:
            assert "hat" not in text.split()


def test_articles() -> None:
    assert article("orange duck") == "an orange duck"
    assert article("duck") == "a duck"
