"""The settings mean what they say: measured on drawings whose truth is known, and on the starter's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy
import pytest
from making import store
from PIL import Image, ImageFilter

from webbduck_gradio.starter.drawing.scenes import Attributes, draw
from webbduck_gradio.starter.evaluation.measures import subject_colour

FULL = {"width": 256, "height": 256, "steps": 12, "scheduler": "Euler", "cfg": 5.0}
DUCK = Attributes("duck", "yellow", "meadow", "day", "right", "top hat", "red")
WORDS = "a yellow duck in a meadow"


def drawn(attributes: Attributes) -> numpy.ndarray:
    return draw(attributes, seed=5).astype(int)


def alike(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """How well two pictures go together, seen small: 1 = the same, 0 = nothing in common."""
    small = [
        numpy.asarray(Image.fromarray(each.astype(numpy.uint8)).resize((32, 32), Image.Resampling.BOX), float)
        for each in (one, other)
    ]
    return float(numpy.corrcoef(*(each.ravel() for each in small))[0, 1])


def test_img2img_keeps_at_low_strength_and_not_at_full(paint, folders) -> None:
    truth = drawn(DUCK)
    image = store(folders, Image.fromarray(truth.astype(numpy.uint8)))
    other = "a blue house in the snow at night"
    gentle = paint(prompt=other, image=image, strength=0.1, **FULL)[0]
    whole = paint(prompt=other, image=image, strength=1.0, **FULL)[0]
    assert alike(gentle, truth) > 0.9
    assert alike(whole, truth) < 0.5


def test_inpainting_a_hat_changes_the_hat_and_nothing_else(paint, folders) -> None:
    bare, top_hat = drawn(dataclasses.replace(DUCK, hat=None, hat_colour=None)), drawn(DUCK)
    crown = drawn(dataclasses.replace(DUCK, hat="crown", hat_colour="golden"))
    hats = (numpy.abs(top_hat - bare) + numpy.abs(crown - bare)).sum(axis=-1) > 0
    mask = Image.fromarray((hats * 255).astype(numpy.uint8)).filter(ImageFilter.MaxFilter(9))
    stored: dict[str, Any] = {
        "image": store(folders, Image.fromarray(top_hat.astype(numpy.uint8))),
        "mask": store(folders, mask),
    }
    blur = 3
    painted = paint(prompt=WORDS + " wearing a golden crown", **stored, strength=1.0, mask_blur=blur, **FULL)
    soft = numpy.asarray(mask.filter(ImageFilter.GaussianBlur(blur)))
    assert (painted[0][soft == 0] == top_hat[soft == 0]).all()
    inside = hats & (numpy.abs(top_hat - crown).sum(axis=-1) > 60)

    def far(truth: numpy.ndarray) -> float:
        return float(numpy.abs(painted[0] - truth)[inside].mean())

    assert far(crown) < 0.8 * far(top_hat)


def test_a_negative_prompt_removes_what_it_names(paint) -> None:
    """The prompt leaves open where the duck is; with this seed the starter puts it on a pond."""

    def water(picture: numpy.ndarray) -> float:
        """Share of the lower part that is clearly blue."""
        red, _, blue = (picture[150:, :, channel] for channel in range(3))
        return float(((blue > red + 50) & (blue > 100)).mean())

    asked = {"prompt": "a yellow duck", "seed": 8, **FULL}
    (plain,), (without,) = paint(**asked), paint(**asked, negative_prompt="pond, water, lake")
    assert water(plain) > 0.3 and water(without) < 0.1


def test_lms_keeps_the_colours(paint) -> None:
    """Of fourth order it takes them far away with guidance and 20 steps."""
    asked = {"prompt": "an orange duck in a meadow on a sunny day", "seed": 1008, **FULL, "steps": 20}
    (euler,), (lms,) = paint(**asked), paint(**asked | {"scheduler": "LMS"})
    assert alike(euler, lms) > 0.95
    assert subject_colour(lms.astype(numpy.uint8), "duck", "meadow", "day") == "orange"


def test_a_second_pass_is_at_least_as_good_as_one(paint) -> None:
    """A picture of few steps gets nearer to that of many when the same model goes over it."""
    few = FULL | {"steps": 4}
    best = paint(prompt=WORDS, **FULL | {"steps": 30})[0]
    one = paint(prompt=WORDS, **few)[0]
    two = paint(
        prompt=WORDS,
        **few,
        second_pass_model="webbduck-starter",
        refinement_strength=0.5,
        second_pass_steps=20,
    )[0]
    assert alike(two, best) >= alike(one, best) - 0.01
    assert sharpness(two) >= sharpness(one)


def sharpness(picture: numpy.ndarray) -> float:
    return float(numpy.abs(numpy.diff(picture.mean(axis=-1), axis=0)).mean())


@pytest.mark.parametrize("weight", [1.0])
def test_a_lora_changes_the_style(paint, weight: float) -> None:
    plain = paint(prompt=WORDS, **FULL)[0]
    styled = paint(prompt=WORDS, loras=[{"name": "unet", "weight": weight}], **FULL)[0]
    assert numpy.abs(plain - styled).mean() > 5
