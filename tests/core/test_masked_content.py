"""The four starts of inpainting, by what comes of them."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from making import store
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core.sampling.loop import SamplingRun
from webbduck_gradio.starter.drawing.scenes import Attributes, draw
from webbduck_gradio.starter.evaluation.measures import subject_colour

DUCK = Attributes("duck", "yellow", "meadow", "day", "right")
BLUE: dict[str, Any] = {"prompt": "a blue duck in a meadow", "scheduler": "Euler", "steps": 8, "cfg": 5.0}
BLUE |= {"width": 256, "height": 256}


@pytest.fixture(scope="module")
def yellow() -> numpy.ndarray:
    return draw(DUCK, seed=5)


@pytest.fixture(scope="module")
def stored(folders, yellow) -> dict[str, str]:
    """The drawing, and a mask over all of the duck."""
    mask = Image.new("L", (256, 256))
    mask.paste(255, (24, 24, 232, 232))
    return {"image": store(folders, Image.fromarray(yellow)), "mask": store(folders, mask)}


def colour(picture: numpy.ndarray) -> str:
    return str(subject_colour(picture.astype(numpy.uint8), "duck", "meadow", "day"))


@pytest.mark.parametrize("content", ["latent noise", "latent nothing"])
def test_from_noise_or_nothing_the_prompt_alone_tells(paint, stored, yellow, content: str) -> None:
    assert colour(yellow) == "yellow"
    (drawn,) = paint(**BLUE, **stored, masked_content=content, strength=1.0, mask_blur=0)
    assert colour(drawn) == "blue"
    frame = numpy.ones((256, 256), bool)
    frame[24:232, 24:232] = False
    assert (drawn[frame] == yellow[frame]).all()


def test_the_original_stays_at_low_strength_and_the_others_do_not(paint, stored, yellow) -> None:
    """They show through, which is why they want a high one."""
    far = {
        content: numpy.abs(
            paint(**BLUE, **stored, masked_content=content, strength=0.25, mask_blur=0)[0] - yellow
        )[24:232, 24:232].mean()
        for content in ("fill", "original", "latent noise", "latent nothing")
    }
    assert far["original"] < 12 and min(far[each] for each in far if each != "original") > 25, far


def test_the_noise_is_that_of_each_image(paint, image, mask) -> None:
    asked: dict[str, Any] = {"image": image, "mask": mask, "masked_content": "latent noise", "strength": 1.0}
    asked |= {"width": 96, "height": 80}
    first, second = paint(**asked, num_images=2)
    assert numpy.array_equal(paint(**asked, seed=8)[0], second) and not numpy.array_equal(first, second)


def test_a_variation_leaves_the_noise_of_the_seed(ask) -> None:
    """As in A1111, which draws it from the seed alone."""
    plain, varied = (
        SamplingRun(ask(**more), 0, Recorder()).seed_noise((64, 64))
        for more in ({}, {"variation_strength": 0.5, "variation_seed": 3})
    )
    assert numpy.array_equal(plain, varied)
    (start,) = numpy.asarray(plain)
    assert start.shape == (4, 8, 8) and abs(float(start.std()) - 1) < 0.2
