"""The measures of the evaluation, on drawings whose answers are known."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from webbduck_gradio.starter.drawing.scenes import draw, sample
from webbduck_gradio.starter.evaluation.attribute_classifier import (
    QUESTIONS,
    accuracy,
    make_samples,
    train_classifier,
)
from webbduck_gradio.starter.evaluation.contact_sheets import contact_sheet
from webbduck_gradio.starter.evaluation.measures import grain, sharpness, subject_colour, to_lab


def test_the_colour_measure_is_right_on_drawings() -> None:
    rng = random.Random(12)
    for seed in range(250):
        shown = sample(rng, held_out=seed % 2 == 0)
        seen = subject_colour(draw(shown, seed), shown.subject, shown.setting, shown.time)
        assert seen == shown.colour, shown


def test_the_colour_measure_notices_another_colour() -> None:
    rng = random.Random(13)
    for seed in range(60):
        shown = sample(rng)
        picture = draw(shown, seed)[..., ::-1]  # red and blue exchanged
        if shown.colour in ("yellow", "red", "blue", "orange"):
            assert subject_colour(picture, shown.subject, shown.setting, shown.time) != shown.colour


def test_lab_of_known_colours() -> None:
    assert to_lab([255, 255, 255]) == pytest.approx([100, 0, 0], abs=0.1)
    assert to_lab([255, 0, 0]) == pytest.approx([53.2, 80.1, 67.2], abs=0.3)


def test_blur_lowers_sharpness() -> None:
    picture = draw(sample(random.Random(1)), 1)
    blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.5)))
    assert sharpness(blurred) < 0.8 * sharpness(picture)


def test_noise_raises_the_grain_and_outlines_do_not() -> None:
    picture = draw(sample(random.Random(1)), 1)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    noisy = (picture + noise).clip(0, 255).astype(np.uint8)
    sharper = np.asarray(Image.fromarray(picture).filter(ImageFilter.SHARPEN))
    assert grain(noisy) > 0.3
    assert max(grain(picture), grain(sharper)) < 0.1


@pytest.mark.slow
def test_the_judge_learns_and_knows_how_good_it_is() -> None:
    classifier = train_classifier(make_samples(None, 240, seed=1, held_out=False), steps=80, batch=20)
    measured = accuracy(classifier, make_samples(None, 64, seed=2, held_out=True))
    assert set(measured) == set(QUESTIONS)
    assert measured["setting"] > 0.8
    assert measured["time"] > 0.9
    shown = sample(random.Random(5))
    answer = classifier.classify([draw(shown, 3)])[0]
    assert answer["time"] in QUESTIONS["time"]


def test_a_contact_sheet_holds_every_picture() -> None:
    pictures = [draw(sample(random.Random(i)), i, width, 64) for i, width in enumerate((64, 96, 64))]
    sheet = contact_sheet(pictures, ["one", "two", "a longer label that needs more than a single line"], 2)
    assert sheet.width == 2 * 176
    assert sheet.height == 2 * (176 + 34)
