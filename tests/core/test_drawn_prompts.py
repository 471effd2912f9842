"""Wildcards and variants: each picture of a batch has its own words and LoRAs, the same as alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from recorder import Recorder
from request_checks import validate
from test_suspend import Saver

from webbduck_gradio.core.progress import Continuation, GeneratedImage
from webbduck_gradio.errors import GenerationError, NotFoundError, RequestError, SuspendedError
from webbduck_gradio.gallery.metadata import chunk as metadata
from webbduck_gradio.models import detail_admission
from webbduck_gradio.models.dynamic_prompts import draw_facts_of_details, with_drawn_texts
from webbduck_gradio.models.prompt_resolver import resolve_prompt

PROMPT = "a __colour__ duck {<lora:whole:1>|in the snow}"
SMALL: dict[str, Any] = {"steps": 2, "prompt": PROMPT, "negative_prompt": "{boat|hat}", "num_images": 4}
"""With seed 7 both variants and several colours occur."""


@pytest.fixture(scope="module", autouse=True)
def colours(folders) -> Iterator[None]:
    folders.wildcards.mkdir()
    (folders.wildcards / "colour.txt").write_text("red\nblue\ngreen\nwhite\n")
    yield


@pytest.fixture(scope="module")
def draw(generator, registry, ask):
    def make(on: Continuation | None = None, reporter: Recorder | None = None, **fields: Any):
        request = ask(**SMALL | fields)
        validate(registry, request)
        checkpoint = registry.checkpoint(request.base_model)
        pictures = generator.generate(request, checkpoint, reporter or Recorder(), on or Continuation())
        return list(pictures)

    return make


@pytest.fixture(scope="module")
def batch(draw) -> list[GeneratedImage]:
    return draw()


def pixels(picture: GeneratedImage) -> bytes:
    return picture.image.tobytes()


def words(picture: GeneratedImage) -> str:
    return picture.facts["drawn"]["prompt"]


def test_each_picture_has_words_and_loras_of_its_own(batch, draw, ask) -> None:
    assert len({words(each).split()[1] for each in batch}) > 1
    for each in batch:
        tagged = "<lora:" in words(each)
        assert ("loras" in each.facts) == tagged
        assert each.facts["resolved_prompt"] == words(each).replace(" <lora:whole:1>", "")
        assert {draw["file"] for draw in each.facts["draws"]} == {"colour.txt", None}
    assert {"<lora:" in words(each) for each in batch} == {True, False}


@pytest.mark.parametrize("index", [3, 1])
def test_it_is_the_picture_that_it_is_alone_and_with_its_drawn_words(batch, draw, ask, index: int) -> None:
    (alone,) = draw(seed=7 + index, num_images=1)
    assert pixels(alone) == pixels(batch[index])
    assert words(alone) == words(batch[index])
    finished = with_drawn_texts(ask(**SMALL), batch[index].facts, again=True)
    plain = {"prompt": finished.prompt, "negative_prompt": finished.negative_prompt}
    (again,) = draw(**plain, seed=7 + index, num_images=1)
    assert pixels(again) == pixels(batch[index]) and "drawn" not in again.facts


def test_drawn_together_are_those_with_equal_words(batch, draw) -> None:
    together = draw(batch_mode="together", prompt="a {red|blue} duck", negative_prompt="")
    apart = draw(prompt="a {red|blue} duck", negative_prompt="")
    for one, other in zip(together, apart, strict=True):
        assert words(one) == words(other)
        assert numpy.abs(numpy.subtract(one.image, other.image, dtype=int)).max() <= 1
    assert len({words(each) for each in together}) == 2
    assert len({each.facts.get("drawn_together", 1) for each in together} | {0}) > 1


def test_combinations_are_the_pictures_of_the_batch(draw) -> None:
    found = draw(prompt="{a red|a blue} duck", negative_prompt="", combination=0, num_images=2)
    assert [words(each) for each in found] == ["a red duck", "a blue duck"]
    (alone,) = draw(prompt="{a red|a blue} duck", negative_prompt="", combination=1, seed=8, num_images=1)
    assert pixels(alone) == pixels(found[1])
    with pytest.raises(RequestError, match="There is no combination 2"):
        draw(prompt="{a red|a blue} duck", combination=1, num_images=2)


def test_later_passes_show_what_the_first_one_drew(draw, registry, ask) -> None:
    asked = {
        "hires_scale": 1.5,
        "hires_upscaler": "Latent (nearest)",
        "hires_prompt": "a __colour__ duck, {big|small}",
        "negative_prompt": "",
        "prompt_2": "__colour__",
        "num_images": 2,
    }
    for index, each in enumerate(draw(**asked)):
        colour = words(each).split()[1]
        assert each.facts["drawn"]["hires_prompt"].startswith(f"a {colour} duck, ")
        assert each.facts["drawn"]["prompt_2"] == colour
        again = with_drawn_texts(ask(**SMALL | asked), each.facts, again=True).for_single_image(index)
        (alone,) = draw(**{name: getattr(again, name) for name in [*asked, "prompt", "seed", "num_images"]})
        assert pixels(alone) == pixels(each)


def test_styles_are_drawn_with_the_prompt_and_recorded_once(draw, ask) -> None:
    style = {"name": "bright", "prompt": "{prompt}, {sunny|clear} day", "negative_prompt": "{fog|rain}"}
    asked = {"styles": [style], "num_images": 2, "negative_prompt": "boat"}
    for index, each in enumerate(draw(**asked)):
        drawn = each.facts["drawn"]
        assert drawn["prompt"].endswith(" day") and drawn["prompt"].count(" day") == 1
        assert drawn["negative_prompt"] in ("boat, fog", "boat, rain")
        finished = with_drawn_texts(ask(**SMALL | asked), each.facts, again=True)
        assert finished.styles == () and finished.prompt == drawn["prompt"]
        texts = {"prompt": finished.prompt, "negative_prompt": finished.negative_prompt}
        (again,) = draw(**texts, seed=7 + index, num_images=1)
        assert pixels(again) == pixels(each) and "drawn" not in again.facts
        recorded = {"request": ask(**SMALL | asked).for_single_image(index).model_dump(), "facts": each.facts}
        first, second, *_ = metadata.parameters_of(recorded).split("\n")
        assert first.removesuffix(" <lora:whole:1>") == each.facts["resolved_prompt"]
        assert second == f"Negative prompt: {drawn['negative_prompt']}"


def test_regions_show_what_the_picture_shows_and_draw_the_rest_apart(registry, ask) -> None:
    detail = {"detector": "any", "prompt": "[PROMPT], {x|y} [SEP] {x|y|z} [SEP] [SKIP]"}
    request = ask(prompt="a __colour__ duck", details=[detail])
    apart = set()
    for index in range(20):
        main = resolve_prompt(registry, request, index).prompt
        regions = list(detail_admission.region_wordings(registry, request, 0, 3, index))
        first, second = [region[1] for region in regions[:2] if region]
        assert first.prompt.startswith(f"{main}, ") and regions[2] is None
        apart.add((first.prompt[-1], second.prompt))
        drawn = [region and (region[0], region[1].drawn) for region in regions]
        facts = draw_facts_of_details(request, [drawn])
        again = with_drawn_texts(request, {"details_drawn": facts}, again=True).details[0]
        assert again.prompt == f"{first.prompt}[SEP]{second.prompt}[SEP][SKIP]"
    assert any(one != other for one, other in apart)


def test_a_picture_that_goes_on_keeps_its_words_or_is_refused(batch, draw, folders, tmp_path) -> None:
    saver = Saver(tmp_path / "states", until=2 * SMALL["steps"] + 1)
    with pytest.raises(SuspendedError):
        draw(reporter=saver)
    colour = folders.wildcards / "colour.txt"
    before = colour.read_text()
    on = Continuation(images=2, state=saver.files[-1])
    rest = draw(on=on)
    assert [pixels(each) for each in rest] == [pixels(each) for each in batch[2:]]
    colour.write_text("pink\n")
    try:
        with pytest.raises(GenerationError, match="a wildcard has changed"):
            draw(on=on)
    finally:
        colour.write_text(before)


def test_the_request_is_refused_before_it_is_queued(registry, ask, draw) -> None:
    with pytest.raises(NotFoundError, match="no wildcard named 'colors'; did you mean colour"):
        draw(prompt="a __colors__ duck")
    with pytest.raises(NotFoundError, match="LoRA"):  # whichever picture has it
        draw(prompt="{a duck|a duck|a duck|<lora:missing:1>}", num_images=8)
    assert resolve_prompt(registry, ask(prompt="a {red|blue duck")).notes == (
        'The { in "{red|blue duck" is never closed and is read as plain text.',
    )
