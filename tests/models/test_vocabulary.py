"""Words that a checkpoint does not know, where it lists those that it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webbduck_gradio.models.vocabulary import Vocabulary, vocabulary_in, words_of

DUCKS = Vocabulary("The duck model", "It draws ducks.", frozenset(("duck", "hat", "flowers", "cherry")))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("photo of an astronaut riding a horse on mars, 8k", "astronaut, horse, mars"),
        ("a (zebra:1.3) and [[a yak]], BREAK a \\(llama\\)", "zebra, yak, llama"),
        ("Duck, DUCK, the duck's dog and the dog’s duck", "dog"),
        ("Größe 日本 🦆", "größe, 日本"),
        ("ant bee cow dog emu fox gnu", "ant, bee, cow, dog, emu, fox and 1 more"),
    ],
)
def test_unknown_words_are_named_once_in_their_order(prompt: str, named: str) -> None:
    assert DUCKS.warning([prompt]) == f"The duck model does not know: {named}. It draws ducks."


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "8k 1024x1024 (:1.2) ...",
        "two ducks with hats, a flower and cherries",
        "masterpiece, best quality, highly detailed, sharp photo of the duck, which isn't in a hat",
        "a duck is standing between the others and looking at you",
    ],
)
def test_nothing_is_said_of_known_words_and_of_those_that_name_nothing(prompt: str) -> None:
    assert DUCKS.warning([prompt]) == ""


def test_words_of_loras_are_known_and_all_prompts_are_read() -> None:
    assert DUCKS.warning(["a duck, ink sketch", "a cat"], ["Ink sketch"]) == (
        "The duck model does not know: cat. It draws ducks."
    )


@pytest.mark.parametrize(
    "said", [3, [], {}, {"words": []}, {"words": "duck"}, {"words": [3]}, {"words": ["duck"], "note": 3}]
)
def test_an_invalid_list_is_reported_and_not_used(said: Any) -> None:
    problems: list[str] = []
    assert vocabulary_in({"vocabulary": said}, "mine", "mine/webbduck.json", problems) is None
    assert problems == [
        "mine/webbduck.json: vocabulary needs words, a list of texts, and title and note as texts."
    ]


def test_title_and_note_can_be_left_out() -> None:
    problems: list[str] = []
    found = vocabulary_in({"vocabulary": {"words": ["A duck"]}}, "mine", "mine/webbduck.json", problems)
    assert found is not None
    assert (found.warning(["a cat"]), problems) == ("mine does not know: cat.", [])
    assert vocabulary_in({}, "mine", "mine/webbduck.json", problems) is None


def test_the_starter_lists_the_words_of_its_captions(starter_checkpoints: Path) -> None:
    from webbduck_gradio.starter.captions.captions import vocabulary

    listed = json.loads((starter_checkpoints / "sdxl" / "webbduck-starter" / "webbduck.json").read_text())
    assert listed["vocabulary"]["words"] == vocabulary()
    # The examples of the page's first visit are among what it knows.
    known = {*listed["vocabulary"]["words"]}
    for prompt in ("a red duck on a pond", "a yellow duck wearing a crown at sunset"):
        assert {*words_of(prompt)} <= known
