"""What a graphics card draws is what the processor draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import psnr
from recorder import Recorder

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.sampling.philox import PhiloxGenerator
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request.samplers import AUTOMATIC, SAMPLERS, fewest_steps
from webbduck_gradio.settings import HOME

MODES: dict[str, dict[str, Any]] = {
    "text2img": {"prompt": "a (red:1.4) duck on a [pond]"},
    "img2img": {"image": True, "strength": 0.8},
    "inpaint": {"image": True, "mask": True, "strength": 0.9, "masked_content": "original"},
    "inpainting checkpoint": {"image": True, "mask": True, "base_model": "painter"},
    "img2img second pass": {"second_pass_model": "webbduck-starter", "refinement_strength": 0.6},
    "refiner": {"second_pass_model": "refiner", "refiner_switch": 0.5},
    "guidance": {"sampler": "Euler", "pag_scale": 2.0, "slg_scale": 1.0, "freeu": "on", "cfg_rescale": 0.5},
    "noise of NVIDIA's cards": {"sampler": "Euler a", "noise_source": "nv"},
}
SIZE = {"width": 128, "height": 128, "steps": 8}
IN_FLOAT32 = 35.0
"""dB. Convolutions of NVIDIA's cards round to TF32; with all products rounded so on the processor, each
sampler came to 47 dB and more."""
ADAPTIVE = 20.0
"""A sampler that chooses its steps by the error may take others after the least rounding."""
HALF = {"float16": 30.0, "bfloat16": 25.0}
"""dB beside float32; on the processor DPM++ 2M came to 59 and 48."""


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_draws_what_the_processor_draws(draw, generator, same, mode: str) -> None:
    (ours,), (expected,) = (draw(by=by, **SIZE, **MODES[mode]) for by in (None, generator))
    same(ours.image, expected.image, IN_FLOAT32)
    assert ours.warnings == expected.warnings


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_each_sampler_draws_what_the_processor_draws(draw, generator, same, sampler) -> None:
    """Noise is drawn on the processor, so the pictures are the same but for roundings."""
    asked = {"sampler": sampler.name, "schedule": AUTOMATIC, **SIZE}
    asked["steps"] = max(8, fewest_steps(sampler, AUTOMATIC))
    (ours,), (expected,) = draw(**asked), draw(by=generator, **asked)
    same(ours.image, expected.image, ADAPTIVE if sampler.is_adaptive else IN_FLOAT32)


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("mode", ["text2img", "inpaint", "refiner"])
def test_half_precision_draws_the_same_picture(draw, new, precision: str, mode: str) -> None:
    """On any card: one without bfloat16 in hardware computes it another way."""
    (expected,) = draw(**SIZE, **MODES[mode])
    (ours,) = draw(by=new(precision=precision), **SIZE, **MODES[mode])
    assert HALF[precision] <= psnr(ours.image, expected.image) < float("inf")
    assert ours.facts["dtype"] == precision and expected.facts["dtype"] == "float32"


@pytest.mark.parametrize("precision", ["float32", None])
def test_the_same_request_gives_the_same_pixels(draw, new, precision: str | None) -> None:
    """In one session and in the next; None: in the precision that is chosen for the card."""
    first, other = new(precision=precision), new(precision=precision)
    asked = {"sampler": "DPM++ 2M SDE", "num_images": 2}
    drawn = [[each.image.tobytes() for each in draw(by=by, **asked)] for by in (first, first, other)]
    assert drawn[0] == drawn[1] == drawn[2] and drawn[0][0] != drawn[0][1]


def test_pictures_drawn_together_are_those_drawn_alone(draw) -> None:
    asked = {"sampler": "Euler a", "num_images": 4}
    together, alone = draw(batch_mode="together", **asked), draw(**asked)
    assert [each.facts.get("drawn_together") for each in together] == [4] * 4
    assert min(psnr(*(each.image for each in pair)) for pair in zip(together, alone, strict=True)) >= 35


def test_the_facts_name_the_device(draw, device: str, kind: str) -> None:
    (picture,) = draw(steps=1)
    assert torch.device(picture.facts["device"]).type == kind and picture.facts["dtype"] == "float32"
    assert ("gpu" in picture.facts) == (kind in ("cuda", "xpu"))
    assert ("libraries" in picture.facts) == (kind == "cuda")


LAYOUTS = ["whole", "kohya", "unet", "webbduck-starter-ink"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_loras_draw_what_they_draw_on_the_processor(draw, generator, with_ink, same, name: str) -> None:
    asked = {"loras": [{"name": name, "weight": 0.8}]}
    (ours,), (expected,), (plain,) = draw(**asked), draw(by=generator, **asked), draw()
    same(ours.image, expected.image, IN_FLOAT32)
    assert psnr(ours.image, plain.image) < 40


def test_loras_come_and_go_without_a_trace(draw, new, with_ink) -> None:
    by = new(precision=None)
    (before,) = draw(by=by)
    weighted = [{"name": "kohya", "weight": 0.5}, {"name": "webbduck-starter-ink", "weight": -0.3}]
    drawn = [draw(by=by, loras=weighted)[0] for _ in range(2)]
    assert drawn[0].image == drawn[1].image != before.image
    assert draw(by=by)[0].image == before.image


@pytest.fixture(scope="module")
def with_ink(registry: Registry) -> None:
    """The bundled LoRA is in the catalog, too."""
    name = "webbduck-starter-ink.safetensors"
    Path(registry.settings.loras, name).symlink_to(HOME / "lora" / name)
    registry.refresh()


def test_previews_come_with_each_step_and_change_no_pixel(draw) -> None:
    watched = Recorder(previews=True)
    (picture,), (unwatched,) = draw(watched), draw()
    assert len(watched.previews) == len(watched.steps) == 6
    assert len({each.tobytes() for each in watched.previews}) == 6
    assert picture.image == unwatched.image


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 4, 64, 64), (1, 4, 128, 128), (1, 4, 152, 104), (7,)])
def test_nv_noise_is_what_the_card_draws(device: str, kind: str, shape: tuple[int, ...]) -> None:
    """Up to 65,536 numbers, for which any card has enough threads."""
    if kind != "cuda" or torch.version.hip:
        pytest.skip("only NVIDIA's cards draw these numbers")
    for seed in (0, 1234, 2**40 + 17):
        ours, theirs = PhiloxGenerator(seed), torch.Generator(device).manual_seed(seed)
        for _ in range(3):
            drawn = torch.randn(shape, generator=theirs, device=device).cpu()
            torch.testing.assert_close(ours.randn(shape), drawn, atol=1e-4, rtol=1e-4)


def test_the_second_card_draws_what_the_first_draws(draw, new, registry, kind: str) -> None:
    if kind != "cuda" or torch.cuda.device_count() < 2:
        pytest.skip("there is one card only")
    before = torch.cuda.memory_allocated(0)
    other = ImageGenerator("cuda:1", registry, "resident", "float32")
    (ours,) = draw(by=other)
    assert ours.facts["device"] == "cuda:1" and torch.cuda.memory_allocated(0) == before
    (expected,) = draw()
    assert psnr(ours.image, expected.image) >= IN_FLOAT32
