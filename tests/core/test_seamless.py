"""Tiling: opposite borders of a picture continue each other, and without it nothing changes."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from core_fixtures import Ask, Paint
from PIL import Image
from request_checks import validate

from webbduck_gradio.core import devices, seamless, vae
from webbduck_gradio.core.compiling import BLOCKS
from webbduck_gradio.core.fp8_storage import Fp8Storage
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.models.catalog.registry import Registry

MEADOW = {"prompt": "a yellow duck in a green meadow", "width": 128, "height": 128, "steps": 6, "seed": 3}


def seam(pixels: numpy.ndarray, axis: int) -> float:
    """Difference across the wrapped border, as a share of the largest one between neighbours inside."""
    across = numpy.abs(pixels.take(0, axis) - pixels.take(-1, axis)).mean()
    inside = numpy.abs(numpy.diff(pixels, axis=axis)).mean(axis=tuple({0, 1, 2} - {axis}))
    return float(across / inside.max())


@pytest.fixture(scope="module")
def plain(paint: Paint) -> numpy.ndarray:
    return paint(**MEADOW)[0]


@pytest.mark.parametrize("tiling", ["x", "y", "both"])
def test_the_border_is_like_the_inside(tiling: str, plain: numpy.ndarray, paint: Paint) -> None:
    (pixels,) = paint(**MEADOW, tiling=tiling)
    for axis in {"x": (1,), "y": (0,), "both": (0, 1)}[tiling]:
        assert seam(pixels, axis) <= 1 < 1.5 < seam(plain, axis), axis
    if tiling == "x":  # sky above, meadow below
        assert seam(pixels, 0) > 1


def test_afterwards_everything_is_as_before(plain: numpy.ndarray, paint: Paint) -> None:
    paint(**MEADOW, tiling="both")
    assert numpy.array_equal(paint(**MEADOW)[0], plain)


def test_passes_and_input_pictures_are_seamless_too(paint: Paint, image: str) -> None:
    second = {
        "second_pass_model": "webbduck-starter",
        "second_pass_mode": "img2img",
        "refinement_strength": 0.8,
    }
    for beside in (second, {"image": image, "strength": 0.95}):
        (pixels,) = paint(**MEADOW | beside, tiling="both")
        assert max(seam(pixels, 0), seam(pixels, 1)) <= 1, beside


def test_a_picture_of_a_batch_is_the_same_alone(paint: Paint) -> None:
    small = {"width": 64, "height": 64, "tiling": "both"}
    batch = paint(**small, num_images=2)
    assert numpy.array_equal(batch[1], paint(**small, seed=8)[0])
    together = paint(**small, num_images=2, batch_mode="together")
    assert numpy.abs(together[1] - batch[1]).max() <= 2


def test_the_vae_turns_with_what_it_is_given(pipe: Any) -> None:
    """Shifted latents give the shifted picture, and the other way round, only while it wraps."""
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    shifted = latents.roll((3, 5), (2, 3))

    def decoded(given: torch.Tensor) -> numpy.ndarray:
        return numpy.asarray(vae.decode(pipe, given)[0]).astype(int)

    with seamless.wrapped([pipe.vae], (2, 3)):
        picture = vae.decode(pipe, latents)[0]
        turned = numpy.roll(numpy.asarray(picture).astype(int), (24, 40), (0, 1))
        assert numpy.abs(decoded(shifted) - turned).max() <= 1
        moved = Image.fromarray(turned.astype("uint8"))
        there, here = (vae.encode(pipe, each)[0] for each in (moved, picture))
        assert torch.allclose(there, here.roll((3, 5), (2, 3)), atol=0.05)
    assert numpy.abs(decoded(shifted) - turned).max() > 20


def test_a_large_picture_decoded_in_tiles_is_seamless_as_well(pipe: Any) -> None:
    latents = torch.randn(1, 4, 8, 80, generator=torch.Generator().manual_seed(2))
    latents = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(latents, (2, 2, 2, 2), "circular"), 5, 1)
    latents = latents / latents.std()
    devices.set_vae_tiling(pipe.vae, True)
    try:
        with seamless.wrapped([pipe.vae], (3,)):
            pixels = numpy.asarray(vae.decode(pipe, latents)[0]).astype(float)
            assert seamless.axes_of(pipe.vae) == (3,)
            again, _ = vae.encode(pipe, vae.decode(pipe, latents)[0])
        cut = numpy.asarray(vae.decode(pipe, latents)[0]).astype(float)
    finally:
        devices.set_vae_tiling(pipe.vae, False)
    assert pixels.shape == (64, 640, 3) and again.shape == latents.shape
    assert seam(pixels, 1) < 0.2 * seam(cut, 1)


def test_what_draws_a_part_does_not_wrap(pipe: Any) -> None:
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    usual = vae.decode(pipe, latents)[0].tobytes()
    with seamless.wrapped([pipe.vae, pipe.unet], (2, 3)):
        assert vae.decode(pipe, latents)[0].tobytes() != usual
        with seamless.unwrapped(pipe.vae):
            assert vae.decode(pipe, latents)[0].tobytes() == usual
        assert seamless.axes_of(pipe.vae) == (2, 3)
    assert vae.decode(pipe, latents)[0].tobytes() == usual


def test_weights_in_8_bits_wrap_too_and_nothing_is_left_behind(pipe: Any) -> None:
    """The hooks that widen a layer's weights, and compiled blocks, are of the layer's call."""
    unet, before = pipe.unet, {name: set(each.__dict__) for name, each in pipe.unet.named_modules()}
    given = {
        "encoder_hidden_states": torch.zeros(1, 77, unet.config.cross_attention_dim),
        "added_cond_kwargs": {
            "text_embeds": torch.zeros(1, pipe.text_encoder_2.config.projection_dim),
            "time_ids": torch.zeros(1, 6),
        },
    }
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(4))

    def turns() -> bool:
        there, here = (unet(each, 500, **given)[0] for each in (x.roll(8, 3), x))
        return torch.allclose(there, here.roll(8, 3), atol=1e-4)

    stored = Fp8Storage(unet)
    try:
        with torch.no_grad():
            assert not turns()
            with seamless.wrapped([unet, unet], (3,)):
                assert turns()
            assert not turns()
    finally:
        stored.undo()
    assert {name: set(each.__dict__) for name, each in unet.named_modules()} == before
    # Only blocks of the transformer are compiled, which have no convolution that pads.
    compiled = [each for each in unet.modules() if type(each).__name__ in BLOCKS]
    padding = [one for each in compiled for one in each.modules() if any(getattr(one, "padding", ()))]
    assert compiled and not padding


def test_a_part_of_a_picture_is_no_pattern(
    paint: Paint, ask: Ask, registry: Registry, generator: ImageGenerator, image: str, mask: str
) -> None:
    part = {"image": image, "mask": mask, "inpaint_area": "masked"}
    said = validate(registry, ask(**part, tiling="both"))
    assert any("tiling has no effect when only the masked area" in each for each in said)
    assert numpy.array_equal(paint(**part, tiling="both")[0], paint(**part)[0])
    assert any("multiples of 64" in each for each in validate(registry, ask(width=72, tiling="x")))
