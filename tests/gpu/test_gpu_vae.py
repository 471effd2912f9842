"""A VAE that overflows in half precision: what is tried, remembered and said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from making import copy_of
from pictures import psnr
from safetensors.torch import load_file, save_file

from webbduck_gradio.core import cards
from webbduck_gradio.core.vae import DECODED_IN_FP32
from webbduck_gradio.errors import GenerationError
from webbduck_gradio.models.catalog.registry import Registry

OVERFLOWING = "overflowing"
BEYOND = 1e5
"""Above float16's largest number, 65,504."""


@pytest.fixture(scope="module")
def overflowing(registry: Registry, starter: Any) -> None:
    """The starter with a convolution of its VAE times `BEYOND`: the norm behind it takes that out again, so
    it draws the same where the numbers between the two fit."""
    folder = copy_of(starter.path, starter.path.parent / OVERFLOWING)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    for name in ("weight", "bias"):
        tensors[f"decoder.up_blocks.3.resnets.0.conv1.{name}"] *= BEYOND
    assert all(each.isfinite().all() for each in tensors.values())
    save_file(tensors, weights)
    registry.refresh()


@pytest.fixture
def without_bfloat16(monkeypatch) -> None:
    """The card is taken for one that does not multiply bfloat16, as Turing's do not."""
    real = cards.card_of
    monkeypatch.setattr(
        cards, "card_of", lambda device: dataclasses.replace(real(device), has_bfloat16=False)
    )


def test_float16_that_overflows_ends_in_float32_once_and_for_all(
    draw, new, overflowing, without_bfloat16
) -> None:
    (expected,) = draw()
    by = new(precision="float16")
    said, drawn = [], []
    for _ in range(2):
        (picture,) = draw(by=by, base_model=OVERFLOWING)
        said.append(picture.warnings)
        drawn.append(picture)
    by.free()
    drawn += draw(by=by, base_model=OVERFLOWING)
    assert said == [(DECODED_IN_FP32,), ()] and drawn[2].warnings == ()
    assert {each.facts["vae_dtype"] for each in drawn} == {"float32"}
    assert drawn[0].image == drawn[1].image == drawn[2].image
    assert psnr(drawn[0].image, expected.image) >= 30
    (healthy,) = draw(by=by)
    assert healthy.warnings == () and "vae_dtype" not in healthy.facts


def test_bfloat16_does_not_overflow(draw, new, overflowing) -> None:
    (expected,) = draw()
    (picture,) = draw(by=new(precision="bfloat16"), base_model=OVERFLOWING)
    assert picture.warnings == () and picture.facts.get("vae_dtype", "bfloat16") == "bfloat16"
    assert psnr(picture.image, expected.image) >= 20


def test_a_vae_that_is_broken_is_an_error_in_every_precision(draw, new, registry, starter) -> None:
    folder = copy_of(starter.path, starter.path.parent / "broken")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_in.weight"] *= float("nan")
    save_file(tensors, weights)
    registry.refresh()
    with pytest.raises(GenerationError, match="damaged"):
        draw(by=new(precision=None), base_model="broken")
