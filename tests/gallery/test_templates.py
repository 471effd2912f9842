"""A picture whose prompt was drawn: what its texts say, and what is recalled of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from gallery_helpers import picture, request
from PIL import Image
from sd_parsers import ParserManager

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata import infotext, recall
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

ASKED = {"prompt": "a {red|blue} duck, __hat__", "negative_prompt": "{boat|x}", "num_images": 2}
FACTS = {
    "drawn": {"prompt": "a blue duck, {cap}__x__", "negative_prompt": "boat"},
    "resolved_prompt": "a blue duck, {cap}__x__, quack",
    "draws": [{"field": "prompt", "source": "__hat__", "text": "{cap}__x__", "file": "hat.txt", "line": 3}],
    "wildcard_files": {"hat.txt": "0" * 16},
}


@pytest.fixture
def saved(settings: Settings) -> Path:
    outputs = Outputs(settings)
    run = outputs.new_run(request(**ASKED), "generate", "job-1")
    run.save(1, picture(), 8, facts=FACTS)
    run.close("completed")
    return run.path / "1.png"


def test_parameters_hold_the_drawn_prompt_and_the_template(saved: Path) -> None:
    with Image.open(saved) as image:
        text = image.info["parameters"]
    prompt, negative, line = text.split("\n")
    assert prompt == "a blue duck, {cap}__x__, quack" and negative == "Negative prompt: boat"
    assert line.startswith("Steps: ") and "__hat__" in line
    fields = infotext.parse(text).fields
    assert fields["Template"] == ASKED["prompt"] and fields["Negative Template"] == ASKED["negative_prompt"]
    read = ParserManager().parse(saved)
    assert read is not None and [each.value for each in read.prompts] == [prompt]


def test_the_drawn_words_are_recalled_with_their_seed(saved: Path, settings: Settings) -> None:
    registry = Registry(settings)
    values, notes = recall.read_settings(saved, registry, None)
    assert values["prompt"] == r"a blue duck, \{cap\}\__x\__" and values["negative_prompt"] == "boat"
    assert values["seed"] == 8 and values["combination"] is None
    (said,) = [note for note in notes if "template" in note]
    assert ASKED["prompt"] in said and "since hat.txt has changed" in said
    found = metadata.read(saved)
    assert found["prompt"] == FACTS["drawn"]["prompt"] and found["request"]["prompt"] == ASKED["prompt"]
    assert found["webbduck"]["facts"]["draws"] == FACTS["draws"]


def test_the_gallery_finds_the_drawn_words(saved: Path, settings: Settings) -> None:
    outputs = Outputs(settings)
    assert (outputs.count("blue"), outputs.count("red")) == (1, 0)


@pytest.mark.parametrize("break_", ["\n", ", "])
def test_templates_of_others_are_no_part_of_the_prompt(break_: str, settings: Settings) -> None:
    template = '"a {red|blue} duck, b"' if break_ == ", " else "a {red|blue} duck, b"
    text = (
        "a red duck {kept|so}\nNegative prompt: boat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, "
        f"Size: 512x512{break_}Template: {template}{break_}Negative Template: boat"
    )
    values, notes = recall.read_text(text, Registry(settings), None)
    assert values["prompt"] == r"a red duck \{kept|so\}" and values["negative_prompt"] == "boat"
    assert values["seed"] == 5
    assert [note for note in notes if "emplate" in note] == [
        "This prompt was drawn from the template a {red|blue} duck, b / boat."
    ]


def test_an_old_picture_is_drawn_as_it_was(settings: Settings) -> None:
    """Before there were draws, the same text was taken as it stood."""
    outputs = Outputs(settings)
    run = outputs.new_run(request(prompt="a {red|blue} duck"), "generate", "job-1")
    run.save(0, picture(), 7)
    values, _ = recall.read_settings(run.path / "0.png", Registry(settings), None)
    assert values["prompt"] == r"a \{red|blue\} duck"
