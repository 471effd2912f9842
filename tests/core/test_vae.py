"""Numbers that are none are noticed, and decoded again where that helps."""

from __future__ import annotations

import copy

import numpy
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core.cards import Card
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.vae import DECODED_IN_FP32, ENCODED_IN_FP32, DecodingPrecision, decode, encode
from webbduck_gradio.errors import GenerationError
from webbduck_gradio.gallery.input_images import InputImageStore


class Parts:
    def __init__(self, vae, image_processor):
        self.vae, self.image_processor = vae, image_processor


@pytest.fixture
def parts(pipe) -> Parts:
    return Parts(copy.deepcopy(pipe.vae), pipe.image_processor)


LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_half_precision_that_overflows_is_decoded_again_and_said(parts, pipe) -> None:
    expected, none = decode(pipe, LATENTS)
    assert none == ()
    parts.vae.to(torch.bfloat16)
    inner = parts.vae.decode
    parts.vae.decode = lambda raw, **more: (
        (inner(raw, **more)[0] * float("nan"),) if raw.dtype == torch.bfloat16 else inner(raw, **more)
    )
    picture, warnings = decode(parts, LATENTS)
    assert warnings == (DECODED_IN_FP32,) and parts.vae.dtype == torch.bfloat16
    assert numpy.abs(numpy.asarray(picture).astype(float) - numpy.asarray(expected)).mean() < 3


def test_the_precision_that_worked_is_remembered(parts) -> None:
    """And the weights are what they were: the way through bfloat16 would round them."""
    parts.vae.to(torch.float16)
    before = [each.clone() for each in parts.vae.parameters()]
    inner, seen = parts.vae.decode, []

    def overflowing(raw: torch.Tensor, **more: bool) -> tuple[torch.Tensor]:
        seen.append(raw.dtype)
        return (inner(raw, **more)[0] * (float("nan") if raw.dtype == torch.bfloat16 else 1),)

    parts.vae.decode = overflowing
    card = Card("cuda", "a card", (8, 6), has_bfloat16=True)
    precision = DecodingPrecision.of(parts.vae, card)
    said = [decode(parts, LATENTS, precision)[1] for _ in range(2)]
    assert said == [(DECODED_IN_FP32,), ()]
    assert seen == [torch.bfloat16, torch.float32, torch.float32]
    after = list(parts.vae.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_overflow_names_the_precision_only_where_another_one_helps(parts) -> None:
    for dtype, named in ((torch.float32, False), (torch.bfloat16, True)):
        parts.vae.to(dtype)
        with pytest.raises(GenerationError) as error:
            decode(parts, LATENTS * float("inf"))
        assert ("--precision float32" in str(error.value)) == named


def test_what_cannot_be_rescued_is_an_error(parts) -> None:
    with pytest.raises(GenerationError, match="overflow"):
        decode(parts, LATENTS * float("inf"))
    parts.vae.decode = lambda raw, **more: (torch.full((1, 3, 64, 64), float("nan")),)
    with pytest.raises(GenerationError, match="VAE"):
        decode(parts, LATENTS)


@pytest.mark.parametrize("upcasts", [True, False])
def test_an_input_picture_loses_no_detail_where_the_vae_asks_for_full_precision(parts, upcasts) -> None:
    parts.vae.register_to_config(force_upcast=upcasts)
    parts.vae.to(torch.bfloat16)
    inner, seen = parts.vae.encode, []
    parts.vae.encode = lambda pixels, **more: seen.append(pixels.dtype) or inner(pixels, **more)
    latents, warnings = encode(parts, Image.new("RGB", (64, 64), "teal"))
    assert seen == [torch.float32 if upcasts else torch.bfloat16]
    assert latents.dtype == torch.float32 and warnings == () and parts.vae.dtype == torch.bfloat16


def test_an_input_picture_that_overflows_is_read_again_and_said(
    registry, starter, ask, image, monkeypatch
) -> None:
    generator = ImageGenerator(
        "cpu", registry, precision="bfloat16", inputs=InputImageStore(registry.settings)
    )
    vae = generator.pipelines.get(starter, lambda text: None).pipe.vae
    vae.register_to_config(force_upcast=False)
    asked = ask(image=image, width=96, height=80)
    (expected,) = generator.generate(asked, starter, Recorder())
    assert expected.warnings == ()
    inner = AutoencoderKL._encode

    def encode(self: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
        return inner(self, pixels) * (float("nan") if pixels.dtype == torch.bfloat16 else 1)

    monkeypatch.setattr(AutoencoderKL, "_encode", encode)
    (picture,) = generator.generate(asked, starter, Recorder())
    assert picture.warnings == (ENCODED_IN_FP32,)
    assert not vae.config.force_upcast and vae.dtype == torch.bfloat16
    far = numpy.asarray(picture.image).astype(float) - numpy.asarray(expected.image)
    assert numpy.abs(far).mean() < 12
