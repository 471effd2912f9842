"""Previews show what is coming, in the right colours."""

from __future__ import annotations

import dataclasses

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core import previews
from webbduck_gradio.request import SCHEDULERS


def test_sdxls_own_factors_give_known_colours() -> None:
    picture = previews.picture(torch.zeros(1, 4, 8, 16), None)
    assert picture.size == (128, 64) and picture.mode == "RGB"
    assert picture.getpixel((5, 5)) == tuple(round((bias + 1) * 127.5) for bias in previews.SDXL_RGB[4])
    assert max(previews.picture(torch.zeros(1, 4, 128, 64), None).size) == previews.LONGEST
    assert previews.picture(torch.full((1, 4, 8, 8), float("nan")), None).size == (64, 64)


@pytest.fixture(scope="module")
def factors(generator, starter, ask, pipe) -> list[list[float]]:
    """The starter VAE's own colours, fitted to pictures that it decoded."""
    latents, pictures = [], []
    with torch.no_grad():
        for seed, prompt in enumerate(("a red duck on a pond", "a blue duck in snow", "a balloon at night")):
            request = ask(prompt=prompt, seed=seed, steps=8)
            (picture,) = generator.generate(request, starter, Recorder())
            pixels = torch.tensor(numpy.asarray(picture.image)).permute(2, 0, 1)[None] / 127.5 - 1
            latents.append(pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor)
            pictures.append(pixels)
    return previews.fit(torch.cat(latents), torch.cat(pictures))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_last_preview_looks_like_the_picture(generator, starter, ask, factors, name: str) -> None:
    coloured = dataclasses.replace(starter, latent_rgb=tuple(map(tuple, factors)))
    recorder = Recorder(previews=True)
    (picture,) = generator.generate(ask(steps=10, scheduler=name), coloured, recorder)
    assert len(recorder.previews) == len(recorder.steps)
    small = (8, 8)
    drawn = numpy.asarray(picture.image.resize(small, Image.Resampling.BOX)).astype(float)
    shown = [
        numpy.asarray(each.resize(small, Image.Resampling.BOX)).astype(float) for each in recorder.previews
    ]
    difference = [numpy.abs(each - drawn).mean() for each in shown]
    assert difference[-1] < 16
    assert difference[-1] < difference[0]


def test_previews_change_no_pixel(generator, starter, ask, paint) -> None:
    (with_previews,) = generator.generate(ask(), starter, Recorder(previews=True))
    assert numpy.array_equal(numpy.asarray(with_previews.image), paint()[0])
