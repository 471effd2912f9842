"""Outpainting: the windows, the old pixels, the seam, and what the new area shows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
from making import store
from PIL import Image, ImageDraw
from recorder import Recorder

from webbduck_gradio.core import image_ops
from webbduck_gradio.core.modes.outpaint import blurred, mirrored
from webbduck_gradio.core.outpaint_plan import LARGEST, LONGEST, NEW, windows
from webbduck_gradio.errors import CancelledError, RequestError
from webbduck_gradio.starter.drawing.scenes import SETTINGS, Attributes, draw
from webbduck_gradio.starter.evaluation.attribute_classifier import classifier_for

PLANS = [
    ((1024, 1024), (0, 0, 768, 1024), 1024),
    ((1280, 1024), (256, 0, 1280, 1024), 1024),
    ((2048, 1024), (512, 0, 1536, 1024), 1024),
    ((1536, 1536), (5, 250, 1029, 1274), 1024),
    ((4096, 2048), (1024, 512, 3072, 1536), 1024),
    ((2048, 2048), (0, 0, 2040, 2043), 1024),
    ((512, 64), (0, 0, 64, 64), 256),
    ((256, 2048), (3, 3, 200, 1901), 256),
]


@pytest.mark.parametrize(("size", "kept", "native"), PLANS)
def test_the_windows_cover_what_is_new_and_always_show_what_to_continue(
    size: tuple[int, int], kept: tuple[int, int, int, int], native: int
) -> None:
    known = numpy.zeros(size[::-1], bool)
    known[kept[1] : kept[3], kept[0] : kept[2]] = True
    for left, top, right, bottom in windows(size, kept, native):
        width, height = right - left, bottom - top
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert not any(edge % 8 for edge in (left, top, right, bottom))
        assert max(width, height) <= LONGEST * native and width * height <= LARGEST * native**2
        window = known[top:bottom, left:right]
        assert 0.2 < window.mean() < 1, "a window with nothing to continue, or with nothing to draw"
        window[:] = True
    assert known.all()


def test_a_canvas_that_can_be_drawn_at_once_is_one_window() -> None:
    assert windows((1280, 1024), (0, 0, 1024, 1024), 1024) == [(0, 0, 1280, 1024)]
    assert NEW * 1024 == 256 and len(windows((1288, 1024), (0, 0, 1024, 1024), 1024)) == 2


def test_the_new_area_begins_as_the_mirrored_picture() -> None:
    ramp = numpy.tile(numpy.arange(0, 240, 8, dtype=numpy.uint8)[None, :, None], (16, 1, 3))
    canvas = Image.fromarray(numpy.pad(ramp, ((8, 8), (40, 10), (0, 0))))
    new = Image.new("L", canvas.size, 255)
    new.paste(0, (40, 8, 70, 24))
    seen = numpy.asarray(mirrored(canvas, new))[..., 0]
    expected = numpy.pad(ramp, ((8, 8), (40, 10), (0, 0)), mode="reflect")[..., 0]
    assert (seen[8:24] == expected[8:24]).all()
    assert (seen[:, 40:70] == expected[:, 40:70]).all()


def test_what_is_seen_in_the_mirror_is_blurred_beyond_the_seam() -> None:
    canvas = Image.new("RGB", (160, 64), "black")
    ImageDraw.Draw(canvas).ellipse((60, 22, 80, 42), fill="white")
    new = Image.new("L", canvas.size, 255)
    new.paste(0, (0, 0, 100, 64))
    sharp = mirrored(canvas, new)
    soft = numpy.asarray(blurred(sharp, new, 128)).astype(int)
    before = numpy.asarray(sharp).astype(int)
    assert before[:, 118:140].max() == 255, "there is a second disc"
    assert soft[:, 118:140].max() < 128
    assert (soft[:, :100] == before[:, :100]).all()
    assert numpy.abs(soft[:, 100:102] - before[:, 100:102]).max() < 40, "nothing begins at the seam"


SIZES: list[dict[str, Any]] = [
    {"outpaint": {"right": 32}, "width": 128, "height": 80},
    {"outpaint": {"left": 112, "top": 8}, "width": 208, "height": 88},
    {"outpaint": {"left": 3, "right": 5, "top": 1, "bottom": 7}, "width": 104, "height": 88},
]


@pytest.mark.parametrize("base_model", ["webbduck-starter", "painter"])
@pytest.mark.parametrize("asked", SIZES, ids=str)
def test_the_old_pixels_stay_to_the_bit_outside_of_the_border(
    paint, folders, image, base_model: str, asked: dict[str, Any]
) -> None:
    old = numpy.asarray(Image.open(folders.inputs / image)).astype(int)
    blur, recorder = 4, Recorder(previews=True)
    (drawn,) = paint(recorder, image=image, mask_blur=blur, strength=0.9, base_model=base_model, **asked)
    assert drawn.shape[:2] == (asked["height"], asked["width"])
    left, top = asked["outpaint"].get("left", 0), asked["outpaint"].get("top", 0)
    there = drawn[top : top + 80, left : left + 96]
    reach = image_ops.reach(blur)
    from_left, from_top, from_right, from_bottom = (
        reach * (side in asked["outpaint"]) for side in ("left", "top", "right", "bottom")
    )
    outside = (slice(from_top, 80 - from_bottom), slice(from_left, 96 - from_right))
    assert (there[outside] == old[outside]).all() and there[outside].size
    new = numpy.ones(drawn.shape[:2], bool)
    new[top : top + 80, left : left + 96] = False
    assert drawn[new].std() > 5
    assert [step for _, step, _ in recorder.steps] == list(range(1, recorder.steps[-1][2] + 1))
    assert len({total for _, _, total in recorder.steps}) == 1
    for preview in recorder.previews:
        assert preview.width / preview.height == pytest.approx(asked["width"] / asked["height"], abs=0.02)


def test_each_image_of_a_batch_is_that_of_its_seed_alone(paint, image) -> None:
    asked = {"image": image, "outpaint": {"left": 112}, "width": 208, "height": 80, "strength": 0.9}
    batch = paint(num_images=2, batch_mode="together", seed=5, **asked)
    for number, picture in enumerate(batch):
        assert (paint(seed=5 + number, **asked)[0] == picture).all()
    assert (batch[0] != batch[1]).any()


def test_a_second_pass_leaves_the_old_pixels_too(paint, folders, image) -> None:
    old = numpy.asarray(Image.open(folders.inputs / image)).astype(int)
    asked = {"image": image, "outpaint": {"right": 32}, "width": 128, "height": 80, "mask_blur": 2}
    (one,), (two,) = (
        paint(**asked),
        paint(**asked, second_pass_model="webbduck-starter", refinement_strength=0.5),
    )
    assert (two[:, :90] == old[:, :90]).all()
    assert (one[:, 96:] != two[:, 96:]).any()


def test_it_is_cancelled_within_one_step_also_in_a_later_part(paint, image) -> None:
    recorder = Recorder(cancel_after=4)
    with pytest.raises(CancelledError):
        paint(recorder, image=image, outpaint={"left": 112}, width=208, height=80)
    assert recorder.steps[-1] == (0, 4, 6)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"image": None}, "Outpainting needs an input image."),
        ({"mask": True}, "Outpainting and a mask cannot be combined; remove one of the two."),
        (
            {"outpaint": {"left": 8, "right": 24}},
            "outpaint leaves 32 x 64 of 64 x 64 px for the input picture, which needs at least 64 x 64; "
            "lower it, or enlarge width and height.",
        ),
        ({"outpaint": {"left": -8}}, "outpaint.left must be a whole number from 0 to 4,096, not -8."),
        ({"outpaint": {"up": 8}}, "There is no setting named 'outpaint.up'."),
        (
            {"outpaint": 8},
            "outpaint must be an object with left, right, top and bottom, not 8.",
        ),
    ],
)
def test_what_cannot_be_outpainted_is_refused_with_one_sentence(
    ask, image, mask, asked: dict[str, Any], sentence: str
) -> None:
    given = {"image": image, "outpaint": {"right": 32}, "width": 64, "height": 64} | asked
    given["mask"] = mask if given.get("mask") else None
    with pytest.raises(RequestError) as raised:
        ask(**given)
    assert str(raised.value) == sentence


def test_sides_of_nothing_are_no_outpainting(ask, image) -> None:
    request = ask(image=image, outpaint={"left": 0, "top": 0})
    assert request.outpaint is None and request.mode == "img2img"


SCENES = {
    "a meadow on a sunny day": Attributes("duck", "yellow", "meadow", "day", "right", None, None),
    "a pond at sunset": Attributes("boat", "red", "pond", "sunset", "left", None, None),
    "snow at night": Attributes("house", "blue", "snow", "night", "left", None, None),
    "a desert on a sunny day": Attributes("balloon", "green", "desert", "day", "left", None, None),
}
SEEDS = (3, 4)
FULL = {"steps": 12, "sampler": "Euler", "cfg": 5.0, "strength": 0.9, "width": 320, "height": 256}


@pytest.fixture(scope="module")
def continued(paint, folders) -> dict[str, list[numpy.ndarray]]:
    """Drawings of 256 px, each continued by 64 px to the right with two seeds."""
    found = {}
    for prompt, attributes in SCENES.items():
        image = store(folders, Image.fromarray(draw(attributes, seed=5)))
        asked = {"prompt": prompt, "image": image, "outpaint": {"right": 64}, **FULL}
        found[prompt] = [paint(seed=seed, **asked)[0] for seed in SEEDS]
    return found


def test_the_gradient_across_the_seam_is_no_larger_than_inside(continued) -> None:
    """Mean difference of the last old and the first new column of pixels, over rows, channels, scenes and
    seeds, against that of neighbouring columns of the old pictures, where there is no border."""
    pictures = numpy.stack(list(itertools.chain(*continued.values())))
    gradients = numpy.abs(numpy.diff(pictures, axis=2)).mean(axis=(0, 1, 3))
    inside = gradients[: 255 - image_ops.reach(8)].mean()
    assert gradients[255] <= inside
    assert gradients[250:262].mean() <= inside  # nor is it moved a little to the side


def test_the_new_area_continues_the_scene(continued) -> None:
    """The nearest of all settings and times by the colours of its rows is the old picture's own."""

    def rows(picture: numpy.ndarray) -> numpy.ndarray:
        return picture.reshape(16, 16, -1, 3).mean(axis=(1, 2))

    looks = {
        (setting, time): numpy.mean(
            [
                rows(
                    draw(Attributes("balloon", "red", setting, time, "left", None, None), seed=seed)[:, 192:]
                )
                for seed in range(4)
            ],
            axis=0,
        )
        for setting in SETTINGS
        for time in ("day", "sunset", "night")
    }
    for prompt, pictures in continued.items():
        attributes = SCENES[prompt]
        for picture in pictures:
            new = rows(picture[:, 256:])
            nearest = min(looks, key=lambda look: float(numpy.abs(looks[look] - new).mean()))
            assert nearest == (attributes.setting, attributes.time), prompt


@pytest.mark.slow
def test_the_scene_classifier_sees_the_same_scene_in_the_new_area_alone(
    paint, folders, pipe, tmp_path
) -> None:
    """Of 256 x 256 px, drawn in four passes: setting and time of at least seven of eight are the old ones."""
    classifier, _ = classifier_for(pipe.vae, tmp_path / "classifier.pt")
    agreed = []
    for prompt, attributes in SCENES.items():
        image = store(folders, Image.fromarray(draw(attributes, seed=5)))
        asked = {"prompt": prompt, "image": image, "outpaint": {"right": 256}, **FULL, "width": 512}
        for seed in SEEDS:
            new = paint(seed=seed, **asked)[0][:, 256:].astype(numpy.uint8)
            (seen,) = classifier.classify([new])
            agreed.append((seen["setting"], seen["time"]) == (attributes.setting, attributes.time))
    assert sum(agreed) >= len(agreed) - 1
