"""The hires pass: the finished picture is enlarged and redrawn."""

from __future__ import annotations

import shutil
from typing import Any

import numpy
import pytest
import torch
from making import copy_of, store
from PIL import Image
from recorder import Recorder
from request_checks import validate
from safetensors.torch import load_file, save_file
from test_meaning import alike

from webbduck_gradio.core import upscaling
from webbduck_gradio.core.sampling.loop import SamplingPass, SamplingRun
from webbduck_gradio.errors import CancelledError, ModelError, NotFoundError, RequestError
from webbduck_gradio.request.hires_fields import LATENT_UPSCALERS
from webbduck_gradio.settings import HOME
from webbduck_gradio.starter.evaluation.measures import subject_colour

UPSCALER = "webbduck-starter-x2"
BLUE = "a blue duck on a pond"
HIRES = {"hires_scale": 2, "hires_upscaler": "Lanczos", "hires_strength": 0.5}
OWN = {
    "hires_steps": 2,
    "hires_cfg": 1.5,
    "hires_sampler": "Euler a",
    "hires_schedule": "Exponential",
    "hires_prompt": BLUE,
    "hires_negative_prompt": "a boat",
    "hires_model": "greenish",
}


@pytest.fixture(scope="module", autouse=True)
def others(folders, registry) -> None:
    """An upscaler, and another checkpoint: the starter with other weights in its last layer."""
    upscalers = folders.checkpoints / "upscale"
    upscalers.mkdir(exist_ok=True)
    shutil.copy(HOME / "checkpoint" / "upscale" / f"{UPSCALER}.safetensors", upscalers)
    folder = copy_of(registry.checkpoint("webbduck-starter").path, folders.checkpoints / "sdxl" / "greenish")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_out.bias"] = tensors["conv_out.bias"] - 0.2
    save_file(tensors, weights)
    registry.refresh()


def enlarged(picture: numpy.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture.astype(numpy.uint8)).resize(size, Image.Resampling.LANCZOS)


def test_without_a_hires_pass_its_settings_change_nothing(paint) -> None:
    assert (paint()[0] == paint(**OWN)[0]).all()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"loras": [{"name": "whole", "weight": 0.8}], "second_pass_model": "refiner", "refiner_switch": 0.5},
        {"second_pass_model": "webbduck-starter", "variation_strength": 0.4, "variation_seed": 5},
    ],
    ids=["alone", "after a refiner, with a LoRA", "after a second pass, with a variation"],
)
def test_it_is_img2img_of_the_enlarged_picture_with_the_same_seed(paint, folders, more: dict) -> None:
    """Steps as A1111 counts them: all that were asked for are drawn, the last ones of a longer schedule."""
    base = paint(**more)[0]
    kept = {name: each for name, each in more.items() if "pass" not in name and name != "refiner_switch"}
    image = store(folders, enlarged(base, (128, 128)))
    again = paint(image=image, width=128, height=128, steps=8, strength=0.5, **kept)[0]
    recorder = Recorder()
    (drawn,) = paint(recorder, **HIRES | more)
    assert (drawn == again).all()
    assert recorder.steps[-4:] == [(0, step, 4) for step in range(1, 5)]
    assert recorder.texts[-1] == "Hires pass"


def test_all_its_own_settings_are_those_of_the_pass(paint, folders) -> None:
    prompt = BLUE + " <lora:unet:0.5>"
    asked = HIRES | OWN | {"hires_prompt": prompt, "prompt": "a red duck <lora:whole:0.7>"}
    (base,) = paint(prompt=asked["prompt"])
    again = paint(
        prompt=prompt,
        negative_prompt="a boat",
        base_model="greenish",
        cfg=1.5,
        sampler="Euler a",
        schedule="Exponential",
        image=store(folders, enlarged(base, (128, 128))),
        width=128,
        height=128,
        steps=4,
        strength=0.5,
    )[0]
    # The second picture's first pass has its own LoRA again.
    first, second = paint(num_images=2, seed=6, **asked)
    assert (second == again).all()
    assert (first == paint(seed=6, **asked)[0]).all()


def test_each_setting_alone_changes_the_picture(paint) -> None:
    asked: dict[str, Any] = HIRES | {"steps": 3, "hires_scale": 1.25, "negative_prompt": "a crown"}
    (usual,) = paint(**asked)
    for name, value in OWN.items():
        assert (usual != paint(**asked | {name: value})[0]).any(), name


A1111 = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (antialiased)": {"mode": "bilinear", "antialias": True},
    "Latent (bicubic)": {"mode": "bicubic", "antialias": False},
    "Latent (bicubic antialiased)": {"mode": "bicubic", "antialias": True},
    "Latent (nearest)": {"mode": "nearest", "antialias": False},
    "Latent (nearest-exact)": {"mode": "nearest-exact", "antialias": False},
}


@pytest.mark.parametrize("name", LATENT_UPSCALERS)
@pytest.mark.parametrize("size", [{"hires_scale": 1.5}, {"hires_width": 80, "hires_height": 128}])
def test_latents_are_enlarged_as_by_a1111(paint, monkeypatch, name: str, size: dict) -> None:
    """With both sides given they cover the size, and half of what protrudes is cut off on each side."""
    ends, starts = [], []
    sample, begin = SamplingPass.sample, SamplingRun.begin

    def sampled(self: SamplingPass, *given: Any) -> torch.Tensor:
        ends.append(sample(self, *given))
        return ends[-1]

    def begun(self: SamplingRun, *given: Any, **named: Any) -> SamplingPass:
        starts.append(named.get("latents"))
        return begin(self, *given, **named)

    monkeypatch.setattr(SamplingPass, "sample", sampled)
    monkeypatch.setattr(SamplingRun, "begin", begun)
    (drawn,) = paint(steps=2, hires_upscaler=name, **size)
    covered = (12, 12) if "hires_scale" in size else (16, 16)
    expected = torch.nn.functional.interpolate(ends[0], covered, **A1111[name])
    if "hires_width" in size:
        expected = expected[:, :, :, 3:13]
    assert starts[0] is None and torch.equal(starts[1], expected)
    assert drawn.shape == (expected.shape[2] * 8, expected.shape[3] * 8, 3)


def test_an_upscaling_model_enlarges_the_picture(paint, folders, registry) -> None:
    network = upscaling.load(registry.upscaler(UPSCALER).path, "cpu")
    recorder = Recorder()
    drawn = paint(recorder, **HIRES | {"hires_upscaler": UPSCALER, "hires_scale": 1.5, "num_images": 2})
    for number, picture in enumerate(drawn):
        base = Image.fromarray(paint(seed=7 + number)[0].astype(numpy.uint8))
        larger = upscaling.enlarge(base, (96, 96), network, "cpu", Recorder())
        twice, _ = upscaling.upscale(base, 2, registry.upscaler(UPSCALER).path, "cpu", Recorder())
        assert larger.tobytes() == twice.resize((96, 96), Image.Resampling.LANCZOS).tobytes()
        again = paint(
            image=store(folders, larger), width=96, height=96, steps=8, strength=0.5, seed=7 + number
        )[0]
        assert (picture == again).all()
    assert recorder.texts.count("Enlarging, tile 1 of 1") == 2  # each picture's only tile


def test_together_they_are_as_alone_up_to_rounding(paint, monkeypatch) -> None:
    asked = HIRES | {"num_images": 3, "steps": 2, "hires_scale": 1.25}
    counts = []
    init = SamplingRun.__init__

    def counted(self: SamplingRun, *given: Any, **named: Any) -> None:
        init(self, *given, **named)
        counts.append(self.count)

    monkeypatch.setattr(SamplingRun, "__init__", counted)
    together = paint(**asked, batch_mode="together")
    assert counts == [3]
    for one, other in zip(paint(**asked), together, strict=True):
        assert numpy.abs(one - other).mean() < 0.5


TILED = HIRES | {"hires_upscaler": UPSCALER, "width": 72, "height": 72, "steps": 2}


@pytest.mark.parametrize("after", [1, 2, 3])
def test_cancelling_acts_at_once(paint, monkeypatch, after: int) -> None:
    """In the first pass, before the upscaler's tiles, and in the hires pass."""
    monkeypatch.setattr(upscaling, "TILE", 64)
    recorder = Recorder(cancel_after=after)
    with pytest.raises(CancelledError):
        paint(recorder, **TILED)
    assert len(recorder.steps) == after
    assert any("tile" in text for text in recorder.texts) == (after == 3)


def test_cancelling_acts_between_the_tiles_of_the_upscaler(paint, monkeypatch) -> None:
    class AtTheThird(Recorder):
        def check(self) -> None:
            if any("tile 3 of 4" in text for text in self.texts):
                raise CancelledError("Stopped.")

    monkeypatch.setattr(upscaling, "TILE", 64)
    recorder = AtTheThird()
    with pytest.raises(CancelledError):
        paint(recorder, **TILED)
    assert len(recorder.steps) == 2 and not any("tile 4" in text for text in recorder.texts)


SIZES = [
    ({"hires_scale": 2}, (256, 192), (256, 192)),
    ({"hires_scale": 1.15}, (144, 104), (144, 104)),
    ({"hires_width": 192}, (192, 144), (192, 144)),
    ({"hires_height": 144}, (192, 144), (192, 144)),
    ({"hires_width": 192, "hires_height": 192}, (256, 192), (192, 192)),
    ({"hires_width": 256, "hires_height": 96}, (256, 192), (256, 96)),
    ({"hires_scale": 2, "hires_width": 0, "hires_height": 0}, (256, 192), (256, 192)),
]


@pytest.mark.parametrize(("asked", "covered", "size"), SIZES)
def test_sizes(ask, asked: dict, covered: tuple, size: tuple) -> None:
    request = ask(width=128, height=96, **asked)
    assert (request.hires_cover, request.hires_size) == (covered, size)


def test_sides_that_are_no_multiples_of_8_are_named(ask, registry) -> None:
    (warning,) = validate(registry, ask(width=128, height=96, hires_scale=1.15))
    assert warning == (
        "The hires pass draws 144 x 104 pixels instead of 147 x 110: sides are multiples of 8."
    )


REFUSED = [
    ({"hires_scale": 2, "hires_width": 128}, RequestError, "exclude each other"),
    ({"hires_scale": 5}, RequestError, "hires_scale must be a number from 1 to 4"),
    ({"hires_scale": True}, RequestError, "hires_scale must be a number"),
    ({"hires_width": 64, "width": 128}, RequestError, "only enlarge"),
    ({"hires_scale": 4, "width": 1280, "height": 720}, RequestError, "at most 4096 pixels a side"),
    ({"hires_scale": 4, "width": 1024, "height": 1024}, RequestError, "9.4 megapixels"),
    ({"hires_scale": 2, "hires_sampler": "Nobody"}, RequestError, "hires_sampler must be one of"),
    ({"hires_scale": 2, "hires_schedule": "never"}, RequestError, "hires_schedule must be one of"),
    (
        {"hires_scale": 2, "hires_sampler": "DPM fast", "schedule": "Karras"},
        RequestError,
        "in the hires pass",
    ),
    ({"hires_scale": 2, "image": "IMAGE", "mask": "MASK"}, RequestError, "does not go with a mask"),
    ({"hires_scale": 2, "hires_model": "nobody"}, NotFoundError, "nobody"),
    ({"hires_scale": 2, "hires_model": "refiner"}, ModelError, "is a refiner"),
    ({"hires_scale": 2, "hires_model": "painter"}, ModelError, "made for inpainting"),
    ({"hires_scale": 2, "hires_upscaler": "nobody"}, NotFoundError, "nobody"),
    ({"hires_scale": 2, "hires_prompt": "<lora:nobody:1>"}, NotFoundError, "nobody"),
    ({"hires_scale": 2, "hires_negative_prompt": "<lora:whole:1>"}, RequestError, "LoRAs belong"),
]


@pytest.mark.parametrize(("asked", "error", "sentence"), REFUSED)
def test_what_cannot_be_drawn_is_refused(ask, registry, image, mask, asked: dict, error, sentence) -> None:
    stored = {"IMAGE": image, "MASK": mask}
    asked = {key: stored.get(each, each) if isinstance(each, str) else each for key, each in asked.items()}
    with pytest.raises(error, match=sentence):
        validate(registry, ask(**asked))


def test_the_upscaler_is_recorded(ask) -> None:
    assert ask(hires_scale=2).hires_upscaler == UPSCALER
    assert ask().hires_upscaler is None


def energy(picture: numpy.ndarray) -> float:
    """Mean square of the differences between neighbouring grey values."""
    grey = picture.mean(axis=-1)
    return float((numpy.diff(grey, axis=0) ** 2).mean() + (numpy.diff(grey, axis=1) ** 2).mean())


@pytest.mark.parametrize(
    ("upscaler", "strength", "size"), [(UPSCALER, 0.3, (256, 512)), ("Latent", 0.6, (192, 256))]
)
def test_it_keeps_colour_and_scene_and_is_sharper(
    paint, upscaler: str, strength: float, size: tuple[int, int]
) -> None:
    """From the starter's own size as it recommends, and to it. At the strengths that latent upscalers need it
    draws a second duck above its own size."""
    small, large = size
    asked = {"prompt": "a red duck on a pond", "steps": 12, "sampler": "Euler"} | {
        "width": small,
        "height": small,
    }
    (base,) = paint(**asked)
    plain = numpy.asarray(enlarged(base, (large, large)))
    hires = {"hires_width": large, "hires_upscaler": upscaler, "hires_strength": strength, "hires_steps": 6}
    (drawn,) = paint(**asked, **hires)
    assert subject_colour(drawn.astype(numpy.uint8), "duck", "pond", "day") == "red"
    assert alike(drawn, plain) > 0.9
    assert energy(drawn) > 1.2 * energy(plain.astype(int))
