"""Grey masks with soft inpainting: what is darker changes less, and black not at all."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from making import store
from PIL import Image

from webbduck_gradio.core.sampling.inpainted import Inpainted, progress

SIZE = {"width": 96, "height": 80}
SOFT: dict[str, Any] = {
    "prompt": "a blue duck on a pond",
    "soft_inpainting": "on",
    "mask_blur": 0,
    "strength": 1.0,
    "steps": 10,
    "masked_content": "original",
} | SIZE
BLACK, DARK, GREY, LIGHT = slice(0, 16), slice(16, 40), slice(40, 64), slice(72, 96)
"""Columns of `ramp`."""
FAMILIES = {"Euler": 10, "Euler a": 10, "Heun": 10, "DPM++ 2M": 10, "DPM++ SDE": 10, "UniPC": 10}
FAMILIES |= {"Restart": 20, "DPM adaptive": 10}
"""A sampler of each kind and its steps; Restart goes back to noise at which dark grey is kept."""


@pytest.fixture(scope="module")
def motley() -> Image.Image:
    """Unlike anything that is drawn, so that all that is drawn anew shows."""
    colours = numpy.random.default_rng(1).integers(0, 255, (10, 12, 3)).astype(numpy.uint8)
    return Image.fromarray(colours).resize((96, 80), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def picture(folders, motley) -> str:
    return store(folders, motley)


@pytest.fixture(scope="module")
def ramp(folders) -> str:
    values = numpy.tile(numpy.linspace(0, 255, 96), (80, 1))
    values[:, BLACK] = 0
    return store(folders, Image.fromarray(values.astype(numpy.uint8)))


def differing(drawn: numpy.ndarray, motley: Image.Image, columns: slice) -> float:
    return float(numpy.abs(drawn - numpy.asarray(motley).astype(int))[:, columns].mean())


@pytest.mark.parametrize(("sampler", "steps"), FAMILIES.items())
def test_a_lighter_grey_changes_more_and_black_keeps_its_bits(
    paint, picture, ramp, motley, sampler: str, steps: int
) -> None:
    (drawn,) = paint(image=picture, mask=ramp, **SOFT | {"sampler": sampler, "steps": steps})
    dark, grey, light = (differing(drawn, motley, each) for each in (DARK, GREY, LIGHT))
    assert not differing(drawn, motley, BLACK)
    assert 0 < dark < 0.75 * grey and grey < light, (dark, grey, light)


@pytest.mark.parametrize("more", [{"base_model": "painter"}, {"inpaint_area": "masked"}], ids=str)
def test_so_it_does_on_inpainting_checkpoints_and_only_around_the_mask(
    paint, picture, ramp, motley, more: dict
) -> None:
    (drawn,) = paint(image=picture, mask=ramp, **SOFT | more)
    dark, grey, light = (differing(drawn, motley, each) for each in (DARK, GREY, LIGHT))
    assert not differing(drawn, motley, BLACK)
    assert 0 < dark < 0.75 * grey and grey < light, (dark, grey, light)


def test_a_mask_that_protects_keeps_its_white_part(paint, picture, ramp, motley) -> None:
    (drawn,) = paint(image=picture, mask=ramp, inpainting_fill="keep", **SOFT)
    assert not differing(drawn, motley, slice(94, 96))
    assert differing(drawn, motley, BLACK) > differing(drawn, motley, GREY) > differing(drawn, motley, LIGHT)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_an_even_grey_is_img2img_of_that_strength(paint, folders, picture, strength: float) -> None:
    """Of the steps that are drawn, half grey leaves the last half. Sums are rounded otherwise."""
    half = store(folders, Image.new("L", (96, 80), 128))
    asked = SOFT | {"sampler": "Euler", "steps": 8, "strength": strength}
    soft = paint(image=picture, mask=half, **asked)[0]
    plain = {name: asked[name] for name in ("prompt", "sampler", "steps", "width", "height")}
    weaker = paint(image=picture, strength=strength / 2, **plain)[0]
    assert numpy.abs(soft - weaker).max() <= 1


def test_a_hard_mask_without_blur_is_drawn_as_ever(paint, image, mask) -> None:
    asked = SOFT | {"image": image, "mask": mask}
    assert numpy.array_equal(paint(**asked)[0], paint(**asked | {"soft_inpainting": "off"})[0])


def test_the_blurred_edge_of_a_hard_mask_is_grey(paint, image, mask, folders) -> None:
    """And stays within its reach."""
    asked = SOFT | {"image": image, "mask": mask, "mask_blur": 4}
    soft = paint(**asked)[0]
    assert not numpy.array_equal(soft, paint(**asked | {"soft_inpainting": "off"})[0])
    original = numpy.asarray(Image.open(folders.inputs / image)).astype(int)
    disc = numpy.asarray(Image.open(folders.inputs / mask))
    rows, columns = numpy.nonzero(disc)
    y, x = numpy.mgrid[0:80, 0:96]
    far = numpy.hypot(y - rows.mean(), x - columns.mean()) > 15 + 10 * 1.5
    assert (soft[far] == original[far]).all()


@pytest.mark.parametrize("more", [{}, {"base_model": "painter", "sampler": "Euler a"}], ids=str)
def test_pictures_of_a_batch_equal_those_alone(paint, picture, ramp, more: dict) -> None:
    asked = SOFT | {"image": picture, "mask": ramp, "steps": 4, "masked_content": "latent noise"} | more
    first, second = paint(**asked, num_images=2)
    assert numpy.array_equal(paint(**asked, seed=8)[0], second) and not numpy.array_equal(first, second)
    together = paint(**asked, num_images=2, batch_mode="together")
    assert numpy.abs(numpy.array(together) - numpy.array([first, second])).max() <= 2


@pytest.mark.parametrize("inpaint_area", ["whole", "masked"])
def test_only_the_white_part_starts_from_the_masked_content(
    paint, folders, picture, inpaint_area: str
) -> None:
    """A mask without any is drawn from the input picture whatever the content."""
    grey = store(folders, Image.new("L", (96, 80), 200))
    asked = SOFT | {"image": picture, "mask": grey, "steps": 4, "inpaint_area": inpaint_area}
    original = paint(**asked)[0]
    for content in ("fill", "latent noise", "latent nothing"):
        assert numpy.array_equal(paint(**asked | {"masked_content": content})[0], original)


def test_what_an_inpainting_checkpoint_sees() -> None:
    """What is still to be drawn is no hole for it yet."""
    latents, masked = torch.full((1, 4, 1, 4), 2.0), torch.full((1, 4, 1, 4), 5.0)
    mask = torch.tensor([[[[0.0, 0.25, 0.5, 1.0]]]])
    levels = (14.0, 7.0, 3.0, 1.0, 0.0)
    inpainted = Inpainted(latents, mask, masked, is_soft=True).at(torch.device("cpu"), levels, latents)
    seen = {}
    for place, level in enumerate(levels[:-1]):
        holes, known = inpainted.channels(level)
        seen[place] = holes.flatten().tolist(), known[0, 0, 0].tolist()
    assert seen == {
        0: ([0, 0, 0, 1], [5, 2, 2, 5]),
        1: ([0, 0, 0, 1], [5, 2, 2, 5]),
        2: ([0, 0, 1, 1], [5, 2, 5, 5]),
        3: ([0, 1, 1, 1], [5, 5, 5, 5]),
    }


def test_the_share_of_the_steps_that_a_noise_level_means() -> None:
    levels = (10.0, 6.0, 2.0, 1.0, 0.0)
    assert [progress(levels, level) for level in levels] == [0, 0.25, 0.5, 0.75, 1]
    assert progress(levels, 11.0) == 0  # churn adds noise
    assert progress(levels, 4.0) == pytest.approx(0.375)
