"""Pictures made by rule: the same by seed, of every kind, with the spectrum that is meant."""

from __future__ import annotations

import numpy as np
import pytest

from webbduck_gradio.starter.drawing.synthetic_images import KINDS, noise, synthetic_image


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(kind: str) -> None:
    first, again, other = (synthetic_image(seed, 64, kind) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_with_frequency_as_its_slope_says(slope: float) -> None:
    made = noise(np.random.default_rng(0), 256, slope)
    assert abs(made.mean()) < 1e-9
    assert made.std() == pytest.approx(1)
    power = np.abs(np.fft.rfft2(made))
    low, high = power[:, 8:16].mean(), power[:, 64:128].mean()  # sideways frequencies eight times apart
    if slope == 0:
        assert low / high == pytest.approx(1, rel=0.15)
    else:
        assert low / high > 2**slope
