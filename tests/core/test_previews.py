"""Previews show what is coming, in the right colours."""

from __future__ import annotations

import dataclasses

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core import previews


def test_sdxls_own_factors_give_known_colours() -> None:
    picture = previews.latents_to_rgb(torch.zeros(1, 4, 8, 16), None)
    assert picture.size == (128, 64) and picture.mode == "RGB"
    assert picture.getpixel((5, 5)) == tuple(round((bias + 1) * 127.5) for bias in previews.SDXL_RGB[4])
    assert max(previews.latents_to_rgb(torch.zeros(1, 4, 128, 64), None).size) == previews.LONGEST
    assert previews.latents_to_rgb(torch.full((1, 4, 8, 8), float("nan")), None).size == (64, 64)


@pytest.fixture(scope="module")
def coloured(generator, starter, ask, pipe):
    """The starter with colours for previews: its own, or, where it has none, fitted to what it draws."""
    if starter.latent_rgb:
        return starter
    latents, pictures = [], []
    with torch.no_grad():
        for seed, prompt in enumerate(("a red duck on a pond", "a blue duck in snow", "a balloon at night")):
            size = {"width": starter.native_size, "height": starter.native_size}
            (picture,) = generator.generate(ask(prompt=prompt, seed=seed, **size), starter, Recorder())
            pixels = torch.tensor(numpy.asarray(picture.image)).permute(2, 0, 1)[None] / 127.5 - 1
            latents.append(pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor)
            pictures.append(pixels)
    table = previews.fit_preview(torch.cat(latents), torch.cat(pictures))
    return dataclasses.replace(starter, latent_rgb=tuple(map(tuple, table)))


@pytest.mark.parametrize("name", ["Euler", "DPM++ 2M Karras"])
def test_the_last_preview_looks_like_the_picture(generator, coloured, ask, name: str) -> None:
    recorder = Recorder(previews=True)
    size = {"width": coloured.native_size, "height": coloured.native_size}
    (picture,) = generator.generate(ask(steps=8, scheduler=name, **size), coloured, recorder)
    assert len(recorder.previews) == len(recorder.steps)

    def colours(image: Image.Image) -> numpy.ndarray:
        return numpy.asarray(image.resize((8, 8), Image.Resampling.BOX)).astype(float)

    difference = [numpy.abs(colours(each) - colours(picture.image)).mean() for each in recorder.previews]
    assert difference[-1] < 20
    assert difference[-1] < difference[0]


def test_previews_change_no_pixel(generator, starter, ask, paint) -> None:
    (with_previews,) = generator.generate(ask(), starter, Recorder(previews=True))
    assert numpy.array_equal(numpy.asarray(with_previews.image), paint()[0])
