"""The styles of the LoRAs and the measures of them, on drawings whose answers are known."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from webbduck_gradio.starter.drawing.degrade import GOOD, POOR, degraded, poor_score, severity
from webbduck_gradio.starter.drawing.scenes import draw, sample
from webbduck_gradio.starter.drawing.styles import BLOCK, STYLES, pixel_art
from webbduck_gradio.starter.evaluation.measures import acutance, subject_colour
from webbduck_gradio.starter.evaluation.style_measures import MEASURES, blockiness


def _drawings(count: int) -> list[np.ndarray]:
    rng = random.Random(41)
    return [draw(sample(rng, held_out=True), index) for index in range(count)]


@pytest.mark.parametrize("style", STYLES)
def test_each_style_is_seen_by_its_measure_and_by_no_other(style: str) -> None:
    for picture in _drawings(3):
        changed = STYLES[style].apply(picture)
        half = ((changed.astype(int) + picture) // 2).astype(np.uint8)
        assert changed.shape == picture.shape
        for name, (_, measure) in MEASURES.items():
            before, between, after = measure(picture), measure(half), measure(changed)
            if name == style:
                assert before < between < after
                assert after > 1.4 * before
            else:
                own = measure(STYLES[name].apply(picture))
                assert after - before < 0.25 * (own - before)


@pytest.mark.parametrize("style", STYLES)
def test_the_subjects_colour_can_be_read_in_each_style(style: str) -> None:
    rng = random.Random(42)
    right = 0
    for seed in range(20):
        shown = sample(rng)
        picture = STYLES[style].apply(draw(shown, seed))
        where = (shown.subject, shown.setting, shown.time)
        right += subject_colour(picture, *where, STYLES[style].tone) == shown.colour
    assert right >= 19


def test_another_colour_is_noticed_in_the_ink_sketch_too() -> None:
    rng = random.Random(43)
    for seed in range(10):
        shown = sample(rng)
        picture = STYLES["ink"].apply(np.ascontiguousarray(draw(shown, seed)[..., ::-1]))
        if shown.colour in ("yellow", "red", "blue", "orange"):
            where = (shown.subject, shown.setting, shown.time)
            assert subject_colour(picture, *where, STYLES["ink"].tone) != shown.colour


def test_pixel_art_is_made_of_squares_of_few_colours() -> None:
    picture = pixel_art(_drawings(1)[0])
    squares = picture.reshape(256 // BLOCK, BLOCK, 256 // BLOCK, BLOCK, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    assert len(np.unique(picture)) <= 8
    assert np.array_equal(pixel_art(picture), picture)
    assert pixel_art(_drawings(1)[0][:100, :90]).shape == (100, 90, 3)


def test_blockiness_looks_at_the_right_size_of_square() -> None:
    picture = _drawings(1)[0]
    assert blockiness(pixel_art(picture)) > 5 * blockiness(np.roll(pixel_art(picture), 4, axis=(0, 1)))


def test_edge_steepness_falls_with_blur_and_not_with_grain() -> None:
    rng = np.random.default_rng(4)
    for picture in _drawings(6):
        blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.2)))
        grainy = np.clip(blurred + rng.normal(0, 3, blurred.shape), 0, 255).astype(np.uint8)
        assert acutance(blurred) < 0.8 * acutance(picture)
        assert acutance(grainy) < 0.9 * acutance(picture)


def test_poor_pictures_are_poorer_the_lower_their_score() -> None:
    """On average: what is done to a picture differs in kind as well."""
    picture = _drawings(1)[0]
    seeds = sorted(range(60), key=severity)
    assert all(POOR[0] <= poor_score(seed) <= POOR[1] < GOOD[0] for seed in seeds)
    steepness = [acutance(degraded(picture, seed)) for seed in seeds]
    assert max(steepness) < acutance(picture)
    assert np.mean(steepness[:20]) > 1.1 * np.mean(steepness[-20:])
    assert poor_score(seeds[0]) > poor_score(seeds[-1])
    assert np.array_equal(degraded(picture, 5), degraded(picture, 5))
