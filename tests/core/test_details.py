"""Regions that a detector finds are drawn again: only they, each with its own words, and always the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from making import store
from PIL import Image
from recorder import Recorder
from request_checks import validate
from test_suspend import Saver

from webbduck_gradio.core.detection import Detectors, Region
from webbduck_gradio.core.modes.details import chosen, mask_of
from webbduck_gradio.core.progress import Continuation, GeneratedImage
from webbduck_gradio.errors import CancelledError, ModelError, NotFoundError, RequestError, SuspendedError
from webbduck_gradio.request import DetailPass, GenerationRequest
from webbduck_gradio.request.detail_requests import region_prompts
from webbduck_gradio.starter.drawing.flocks import draw_flock
from webbduck_gradio.starter.drawing.scenes import Attributes
from webbduck_gradio.starter.drawing.scenes import draw as draw_scene

DETECTOR = "webbduck-starter-detector"
HEAD = {"detector": DETECTOR, "classes": ["duck head"], "padding": 8, "strength": 0.8, "steps": 8}
DUCK = {"prompt": "a red duck with a blue top hat on a pond", "width": 128, "height": 128, "steps": 20}
"""Begun from a drawing, of which one step leaves nearly all: no small picture of a few steps has a head."""
LEFT = 0.05
"""The strength that leaves one step."""
Pixels = numpy.ndarray
Draw = Callable[..., list[GeneratedImage]]


@pytest.fixture(scope="module")
def duck(folders) -> str:
    """Id of a drawing of one duck."""
    attributes = Attributes("duck", "red", "pond", "day", "right", "top hat", "blue")
    return store(folders, Image.fromarray(draw_scene(attributes, 5, 128, 128)))


@pytest.fixture(scope="module")
def draw(generator, registry, ask, duck) -> Draw:
    def make(
        reporter: Recorder | None = None, on: Continuation | None = None, **fields: Any
    ) -> list[GeneratedImage]:
        request = ask(**{**DUCK, "image": duck, "strength": LEFT, **fields})
        validate(registry, request)
        checkpoint = registry.checkpoint(request.base_model)
        return list(generator.generate(request, checkpoint, reporter or Recorder(), on or Continuation()))

    return make


@pytest.fixture(scope="module")
def plain(draw) -> Image.Image:
    return draw()[0].image


@pytest.fixture(scope="module")
def detailed(draw) -> GeneratedImage:
    return draw(details=[HEAD | {"prompt": "a yellow duck"}])[0]


@pytest.fixture(scope="module")
def flock(folders) -> str:
    """Id of a picture of three ducks."""
    return store(folders, Image.fromarray(draw_flock(194, 192, 192, ducks=3)[0]))


def pixels(image: Image.Image) -> Pixels:
    return numpy.asarray(image).astype(int)


def changed(one: Image.Image, other: Image.Image) -> tuple[int, int, int, int]:
    """The box around what differs."""
    differs = Image.fromarray((pixels(one) != pixels(other)).any(axis=2))
    box = differs.getbbox()
    assert box is not None
    return box


def found(picture: GeneratedImage, number: int = 0) -> list[dict[str, Any]]:
    return picture.facts["details"][number]["regions"]


def test_only_the_region_changes_and_what_was_found_is_recorded(plain, detailed) -> None:
    (head,) = found(detailed)
    assert detailed.facts["details"][0]["detector"] == DETECTOR
    assert head["class"] == "duck head" and head["confidence"] >= 0.3
    left, top, right, bottom = head["box"]
    box = changed(plain, detailed.image)
    # Dilated by half of 4, feathered over 2.5 times 4 pixels.
    assert box[0] >= left - 13 and box[1] >= top - 13 and box[2] <= right + 13 and box[3] <= bottom + 13
    inside = tuple(round(side) for side in (left + 4, top + 4, right - 4, bottom - 4))
    difference = numpy.abs(pixels(plain.crop(inside)) - pixels(detailed.image.crop(inside)))
    assert difference.mean() > 10  # it is another head
    assert detailed.warnings == ()


def test_the_head_gets_its_own_colour(plain, detailed) -> None:
    left, top, right, bottom = (round(side) for side in found(detailed)[0]["box"])
    box = (left + 6, (top + bottom) // 2, right - 6, bottom - 2)

    def green_share(image: Image.Image) -> float:
        red, green, _ = numpy.median(pixels(image.crop(box)).reshape(-1, 3), axis=0)
        return float(green / max(red, 1))

    # Yellow has about as much green as red, a red duck hardly any.
    assert green_share(detailed.image) > green_share(plain) + 0.2


def test_it_is_made_again_from_its_metadata_alone_and_from_within_a_batch(
    ask, duck, generator, registry, detailed
) -> None:
    details = [HEAD | {"prompt": "a yellow duck"}]
    batch = ask(**DUCK, image=duck, strength=LEFT, details=details, num_images=2, seed=6)
    checkpoint = registry.checkpoint(batch.base_model)
    _, second = generator.generate(batch, checkpoint, Recorder())
    assert numpy.array_equal(pixels(second.image), pixels(detailed.image))
    alone = GenerationRequest.validated(**batch.for_single_image(1).model_dump(mode="json"))
    (again,) = generator.generate(alone, checkpoint, Recorder())
    assert numpy.array_equal(pixels(again.image), pixels(detailed.image))
    assert again.facts["details"] == detailed.facts["details"] == second.facts["details"]


def test_nothing_found_is_said_and_changes_nothing(draw, plain) -> None:
    (picture,) = draw(details=[HEAD | {"confidence": 0.999}])
    assert numpy.array_equal(pixels(picture.image), pixels(plain))
    assert found(picture) == []
    assert [each for each in picture.warnings if "found nothing to draw again at confidence 0.999" in each]


def test_each_region_has_its_own_prompt_and_noise(draw, flock, folders) -> None:
    fields = {"image": flock, "width": 192, "height": 192}
    passes = {
        "detector": DETECTOR,
        "classes": ["duck head"],
        "order": "left to right",
        "padding": 4,
        "strength": 0.7,
        "steps": 3,
    }
    (before,) = draw(**fields)
    reporter = Recorder()
    (same,) = draw(reporter, **fields, details=[passes | {"prompt": "a duck"}])
    assert len(found(same)) == 3
    lefts = [region["box"][0] for region in found(same)]
    assert lefts == sorted(lefts)
    assert [text for text in reporter.texts if text.startswith("Details, region")] == [
        f"Details, region {number} of 3" for number in (1, 2, 3)
    ]
    # The second stays, the third gets other words; the first is as before to the bit.
    (own,) = draw(**fields, details=[passes | {"prompt": "a duck [SEP] [SKIP] [SEP] a blue cat"}])
    boxes = [tuple(round(side) for side in region["box"]) for region in found(same)]
    first, second, third = (
        [pixels(each.crop(box)) for each in (before.image, same.image, own.image)] for box in boxes
    )
    assert numpy.array_equal(first[1], first[2]) and not numpy.array_equal(first[0], first[1])
    assert numpy.array_equal(second[0], second[2]) and not numpy.array_equal(second[0], second[1])
    assert not numpy.array_equal(third[1], third[2])
    # Of the first alone the same pixels come, since a region's noise does not depend on the others.
    (one,) = draw(**fields, details=[passes | {"prompt": "a duck", "count": 1}])
    assert len(found(one)) == 1
    assert numpy.array_equal(pixels(one.image.crop(boxes[0])), first[1])


def test_three_passes_follow_one_another(draw, detailed) -> None:
    details = [
        HEAD | {"prompt": "a yellow duck"},
        {"detector": DETECTOR, "classes": ["hat"], "prompt": "a green hat", "confidence": 0.05, "steps": 4},
        HEAD | {"cfg": 1.0, "sampler": "Euler a", "schedule": "Karras"},
    ]
    reporter = Recorder()
    (picture,) = draw(reporter, details=details)
    assert found(picture) == found(detailed)
    assert len(picture.facts["details"]) == 3
    assert any(text.startswith("Details, pass 1, region 1 of") for text in reporter.texts)
    assert not numpy.array_equal(pixels(picture.image), pixels(detailed.image))


def test_with_a_mask_what_is_kept_stays_to_the_bit(draw, flock, folders, generator, registry) -> None:
    detector = registry.detector(DETECTOR)
    source = Image.fromarray(draw_flock(194, 192, 192, ducks=3)[0])
    heads = [each for each in Detectors().find(source, detector, 0.3) if each.name == "duck head"]
    left, top, right, bottom = (round(side) for side in heads[0].box)
    half = Image.new("L", source.size, 0)
    half.paste(255, (left, top, (left + right) // 2, bottom))
    fields = {
        "image": flock,
        "mask": store(folders, half),
        "width": 192,
        "height": 192,
        "masked_content": "original",
        "mask_blur": 0,
    }
    (without,) = draw(**fields)
    (picture,) = draw(**fields, details=[HEAD | {"prompt": "a blue duck"}])
    assert 1 <= len(found(picture)) < len(heads)  # those that the mask does not touch stay out
    box = changed(without.image, picture.image)
    assert box[0] >= left and box[2] <= (left + right) // 2 and box[1] >= top and box[3] <= bottom
    elsewhere = numpy.asarray(half) == 0
    assert numpy.array_equal(pixels(source)[elsewhere], pixels(picture.image)[elsewhere])
    corner = Image.new("L", source.size, 0)
    corner.paste(255, (0, 0, 2, 2))
    fields["mask"] = store(folders, corner)
    (nothing,) = draw(**fields, details=[HEAD])
    assert any("found nothing to draw again in the inpainted part" in each for each in nothing.warnings)


def test_after_a_hires_pass_the_larger_picture_gets_its_details(draw) -> None:
    hires = {"hires_scale": 1.25, "hires_upscaler": "Lanczos", "hires_strength": LEFT, "hires_steps": 1}
    (before,) = draw(**hires)
    (after,) = draw(**hires, details=[HEAD | {"prompt": "a yellow duck"}])
    assert before.image.size == after.image.size == (160, 160)
    left, top, right, bottom = found(after)[0]["box"]
    box = changed(before.image, after.image)
    assert box[0] >= left - 13 and box[1] >= top - 13 and box[2] <= right + 13 and box[3] <= bottom + 13


def test_the_loras_of_a_regions_words_hold_for_it_alone(draw, plain, detailed) -> None:
    details = [HEAD | {"prompt": "a yellow duck <lora:unet:1>"}]
    first, second = draw(details=details, num_images=2)
    assert not numpy.array_equal(pixels(first.image), pixels(detailed.image))
    box = found(first)[0]["box"]
    assert changed(plain, first.image)[0] >= box[0] - 13  # the picture itself was drawn without it
    (again,) = draw(details=details, seed=8)
    assert numpy.array_equal(pixels(second.image), pixels(again.image))


@pytest.mark.parametrize("after", [1, 3, 7, 10])
def test_a_suspended_one_goes_on_bit_for_bit(draw, after: int, tmp_path: Path) -> None:
    unsure = {"confidence": 0.02, "count": 1}
    fields = {"details": [HEAD | {"prompt": "a yellow duck"}, HEAD | unsure | {"prompt": "a blue duck"}]}
    (whole,) = draw(**fields)
    saver = Saver(tmp_path, until=after)
    with pytest.raises(SuspendedError):
        draw(saver, **fields)
    (rest,) = draw(Recorder(), Continuation(0, saver.files[-1]), **fields)
    assert numpy.array_equal(pixels(rest.image), pixels(whole.image))
    assert rest.facts["details"] == whole.facts["details"]
    assert rest.warnings == whole.warnings


def test_each_stage_before_the_details_is_kept_also_where_they_are_put_aside(draw, tmp_path: Path) -> None:
    larger = {"hires_width": 192, "hires_upscaler": "Lanczos", "hires_steps": 1, "hires_strength": LEFT}
    asked = {**larger, "details": [HEAD], "keep_stages": "on"}
    (whole,) = draw(**asked)
    assert {"base", "hires"} == whole.stages.keys()
    for stage, fields in {"base": {}, "hires": larger}.items():
        (alone,) = draw(**fields)
        assert numpy.array_equal(pixels(alone.image), pixels(whole.stages[stage])), stage
    saver = Saver(tmp_path / "states", until=4)  # one step each, and two into the region
    with pytest.raises(SuspendedError):
        draw(saver, **asked)
    (again,) = draw(on=Continuation(0, saver.files[-1]), **asked)
    assert numpy.array_equal(pixels(again.image), pixels(whole.image))
    assert {name: each.tobytes() for name, each in again.stages.items()} == {
        name: each.tobytes() for name, each in whole.stages.items()
    }


def test_cancel_acts_within_a_step(draw) -> None:
    recorder = Recorder(cancel_after=3)  # two steps into the region
    with pytest.raises(CancelledError):
        draw(recorder, details=[HEAD])
    assert recorder.steps == [(0, 1, 1), (0, 1, 6), (0, 2, 6)]


def test_what_cannot_be_done_is_refused_before(draw, registry) -> None:
    for details, error, text in (
        ([{"detector": "webbduck-starter-detectr"}], NotFoundError, "did you mean webbduck-starter-detector"),
        ([HEAD | {"classes": ["duk head"]}], RequestError, "does not find 'duk head'; it finds duck head"),
        ([HEAD | {"prompt": "<lora:nowhere:1>"}], NotFoundError, "nowhere"),
        ([HEAD | {"negative_prompt": "<lora:unet:1>"}], RequestError, "negative prompt"),
        ([HEAD | {"strength": 0.1}], RequestError, "details 1: 8 steps at strength 0.1 leave no step"),
        (
            [HEAD | {"sampler": "DPM fast", "schedule": "Karras"}],
            RequestError,
            "details 1: DPM fast does not",
        ),
        ([HEAD] * 4, RequestError, "at most 3"),
    ):
        with pytest.raises(error, match=text):
            draw(details=details)
    with pytest.raises(ModelError):
        draw(base_model="refiner", details=[HEAD])


def test_drawn_one_by_one_in_a_batch_and_said(ask, registry) -> None:
    request = ask(**DUCK, details=[HEAD], num_images=2, batch_mode="together")
    assert any(each.startswith("batch_mode has no effect") for each in validate(registry, request))


REGIONS = [
    Region("face", 0.9, (60, 10, 80, 30)),
    Region("hand", 0.8, (5, 5, 15, 15)),
    Region("face", 0.7, (30, 40, 70, 80)),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"classes": ["Face"]}, [0, 2]),
        ({"order": "left to right"}, [1, 2, 0]),
        ({"order": "size"}, [2, 0, 1]),
        ({"order": "size", "count": 2}, [2, 0]),
        ({"count": 1}, [0]),
        ({"min_area": 0.02}, [0, 2]),
        ({"max_area": 0.05}, [0, 1]),
    ],
)
def test_which_regions_and_in_which_order(asked: dict[str, Any], expected: list[int]) -> None:
    each = DetailPass.validated(detector="x", **asked)
    assert chosen(REGIONS, each, (100, 100)) == [REGIONS[number] for number in expected]


def test_a_mask_is_grown_and_shrunk_by_a_square() -> None:
    region = Region("face", 0.9, (10.4, 20.0, 19.2, 40.0))
    assert mask_of(region, (64, 64)).getbbox() == (10, 20, 20, 40)
    assert mask_of(region, (64, 64), 5).getbbox() == (8, 18, 22, 42)
    assert mask_of(region, (64, 64), -5).getbbox() == (12, 22, 18, 38)
    assert mask_of(region, (64, 64), -40).getbbox() is None
    outline = Image.new("L", (64, 64), 0)
    outline.paste(255, (12, 24, 15, 30))
    assert mask_of(Region("face", 0.9, region.box, outline), (64, 64)).getbbox() == (12, 24, 15, 30)


def test_prompts_of_the_regions() -> None:
    assert region_prompts("", "main", 2) == ["main", "main"]
    assert region_prompts("one[SEP]two, [PROMPT]", "main", 3) == ["one", "two, main", "two, main"]
    assert region_prompts("[SEP]two[SEP][SKIP]", "main", 3) == ["main", "two", None]
    assert region_prompts("one[SEP]two", "main", 1) == ["one"]
