"""What the user asked for is what is drawn: the same again, alone or in a batch, after a cancel too."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from diffusers import UNet2DConditionModel
from recorder import Recorder

from webbduck_gradio.core import devices
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import GeneratedImage
from webbduck_gradio.errors import CancelledError, GenerationError, ModelError, OutOfMemoryError
from webbduck_gradio.models.admission import build_request


def test_the_same_request_gives_the_same_pixels(paint) -> None:
    (first,), (again,) = paint(), paint()
    assert first.shape == (64, 64, 3)
    assert numpy.array_equal(first, again)
    assert first.std() > 5  # a picture, not a plain colour


def test_each_picture_of_a_batch_equals_its_seed_alone(generator, starter, ask) -> None:
    request = ask(num_images=3, scheduler="DPM++ SDE Karras", negative_prompt="hat")
    pictures = list(generator.generate(request, starter, Recorder()))
    assert [each.index for each in pictures] == [0, 1, 2]
    assert [each.seed for each in pictures] == [7, 8, 9]
    assert len({each.image.tobytes() for each in pictures}) == 3
    for each in pictures:
        (alone,) = generator.generate(request.for_single_image(each.index), starter, Recorder())
        assert alone.image.tobytes() == each.image.tobytes() and alone.seed == each.seed


def test_the_size_is_the_pictures_and_emphasis_reaches_it(paint) -> None:
    """That each field does is test_fields.py's to show."""
    assert paint(width=72)[0].shape == (64, 72, 3) and paint(height=88)[0].shape == (88, 64, 3)
    stressed, plain = (paint(prompt=f"a red duck, {each}")[0] for each in ("(sunset:1.5)", "sunset"))
    assert not numpy.array_equal(stressed, plain)


def test_the_prompt_is_followed(generator, registry, starter) -> None:
    """The mean colour of a picture follows the colour that the prompt names."""

    def mean(colour: str) -> numpy.ndarray:
        request = build_request(
            registry,
            {
                "prompt": f"a {colour} duck on a pond",
                "seed": 3,
                "num_images": 2,
                "steps": 8,
                "base_model": starter.name,
            },
        )
        pictures = generator.generate(request, starter, Recorder())
        return numpy.mean([numpy.asarray(each.image).mean(axis=(0, 1)) for each in pictures], axis=0)

    red, blue = mean("red"), mean("blue")
    assert red[0] - blue[0] > 4 and blue[2] - red[2] > 4


def test_progress_is_reported_step_by_step(generator, starter, ask) -> None:
    recorder = Recorder()
    list(generator.generate(ask(num_images=2), starter, recorder))
    assert recorder.steps == [(image, step, 4) for image in (0, 1) for step in (1, 2, 3, 4)]
    assert recorder.previews == [] and recorder.texts[-1] == "Generating"


def test_progress_counts_steps_whatever_a_sampler_makes_of_them(generator, starter, ask) -> None:
    def counted(**asked: Any) -> list[tuple[int, int, int]]:
        recorder = Recorder()
        list(generator.generate(ask(**asked), starter, recorder))
        return recorder.steps

    assert counted(scheduler="Heun") == [(0, step, 4) for step in range(1, 5)]  # two evaluations each
    assert counted(scheduler="DPM fast", steps=7) == [(0, step, 7) for step in (3, 6, 7)]  # of third order
    for _, step, total in counted(scheduler="DPM adaptive"):
        assert 1 <= step <= total


def test_pictures_come_as_they_finish(generator, starter, ask) -> None:
    recorder = Recorder()
    pictures = generator.generate(ask(num_images=3), starter, recorder)
    next(pictures)
    assert len(recorder.steps) == 4
    pictures.close()
    assert len(recorder.steps) == 4


def test_cancel_stops_within_a_step_and_leaves_no_trace(generator, starter, ask, paint) -> None:
    asked = {"scheduler": "DPM++ 2M Karras"}
    request, (expected,) = ask(num_images=2, **asked), paint(**asked)
    for after in (0, 1, 3, 4, 6):
        recorder = Recorder(cancel_after=after, previews=True)
        finished = []
        with pytest.raises(CancelledError):
            for picture in generator.generate(request, starter, recorder):
                finished.append(picture)
        assert len(recorder.steps) == after
        assert [numpy.array_equal(each.image, expected) for each in finished] == [True] * (after > 4)
        (next_one,) = paint(**asked)
        assert numpy.array_equal(next_one, expected), after


def test_cancel_whenever_it_is_asked_for_leaves_no_trace(registry, starter, ask, paint) -> None:
    """Also while loading, applying LoRAs, reading the prompt, and between the two passes."""

    class Impatient(Recorder):
        def __init__(self, patience: int):
            super().__init__()
            self.patience = patience

        def check(self) -> None:
            self.patience -= 1
            if self.patience < 0:
                raise CancelledError("Stopped.")

    asked = {
        "steps": 2,
        "loras": [{"name": "whole", "weight": 1}],
        "second_pass_model": "refiner",
        "refiner_switch": 0.5,
    }
    request, generator, stopped = ask(**asked), ImageGenerator("cpu", registry), 0
    while True:
        try:
            pictures = list(generator.generate(request, starter, Impatient(stopped)))
            break
        except CancelledError:
            stopped += 1
    assert stopped >= 6  # at the start, after each checkpoint, before drawing, at each step
    (again,) = generator.generate(request, starter, Recorder())
    assert numpy.array_equal(again.image, paint(**asked)[0])
    assert again.image.tobytes() == pictures[0].image.tobytes()


def test_another_generator_draws_the_same(starter, ask, paint) -> None:
    fresh = ImageGenerator("cpu")
    recorder = Recorder()
    (picture,) = fresh.generate(ask(), starter, recorder)
    assert numpy.array_equal(numpy.asarray(picture.image), paint()[0])
    assert recorder.texts[0] == "Loading webbduck-starter; the first picture takes longer"
    assert fresh.describe()["loaded"] == "webbduck-starter"
    fresh.free()
    assert fresh.describe()["loaded"] is None
    (again,) = fresh.generate(ask(), starter, Recorder())
    assert again.image.tobytes() == picture.image.tobytes()


def test_equal_to_the_bare_pipeline(pipe, paint, ask) -> None:
    """The core's own loop and diffusers' draw the same picture, up to the rounding of one level."""
    from diffusers import EulerDiscreteScheduler

    request = ask(steps=10, scheduler="Euler")
    before = pipe.scheduler
    pipe.scheduler = EulerDiscreteScheduler.from_config(before.config, timestep_spacing="linspace")
    try:
        bare = pipe(
            request.prompt,
            width=64,
            height=64,
            num_inference_steps=10,
            guidance_scale=request.cfg,
            generator=torch.Generator().manual_seed(7),
        ).images[0]
    finally:
        pipe.scheduler = before
    ours = paint(steps=10, scheduler="Euler")[0].astype(int)
    assert numpy.abs(ours - numpy.asarray(bare)).max() <= 1


def test_describe_tells_device_memory_and_versions(generator, pipe) -> None:
    facts = generator.describe()
    assert facts["device"] == "cpu" and facts["dtype"] == "float32"
    assert 0 < facts["memory_used"] < facts["memory_total"]
    assert facts["versions"]["torch"] == torch.__version__


def test_a_folder_that_breaks_after_the_scan_is_one_sentence(starter, ask, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(starter.path, folder, copy_function=shutil.copyfile)
    (folder / "unet").chmod(0o755)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    generator = ImageGenerator("cpu")
    broken = dataclasses.replace(starter, name="broken", path=folder)
    with pytest.raises(ModelError, match=r"^broken has no weights in unet; copy .* again\.$"):
        list(generator.generate(ask(), broken, Recorder()))
    (picture,) = generator.generate(ask(), starter, Recorder())
    assert picture.image.size == (64, 64)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    """The next `times` evaluations of any UNet fail."""
    inner, left = UNet2DConditionModel.forward, [times]

    def forward(*arguments: object, **more: object) -> object:
        if left[0] > 0:
            left[0] -= 1
            raise error
        return inner(*arguments, **more)

    monkeypatch.setattr(UNet2DConditionModel, "forward", forward)


def test_faults_inside_torch_fail_one_job_with_a_sentence(
    generator, starter, ask, paint, monkeypatch
) -> None:
    before = paint()[0]
    failing(monkeypatch, RuntimeError("shapes"), 1)
    with pytest.raises(GenerationError, match=r"could not be generated \(RuntimeError\)"):
        list(generator.generate(ask(), starter, Recorder()))
    assert numpy.array_equal(paint()[0], before)


def test_short_memory_is_met_with_a_thriftier_policy_and_said(
    registry, starter, ask, paint, monkeypatch
) -> None:
    expected = paint(num_images=2)
    generator = ImageGenerator("cpu", registry)
    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), 1)
    pictures = list(generator.generate(ask(num_images=2), starter, Recorder()))
    assert all(numpy.array_equal(a.image, b) for a, b in zip(pictures, expected, strict=True))
    assert "policy 'tiled'" in pictures[0].warnings[0] and generator.describe()["policy"] == "tiled"
    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), 9)
    with pytest.raises(OutOfMemoryError, match="64 x 64"):
        list(generator.generate(ask(), starter, Recorder()))


def test_tiled_decoding_draws_nearly_the_same(registry, starter, ask, monkeypatch) -> None:
    """Larger than a tile, so that tiles are really used where memory is short."""
    request = ask(width=640, height=128, steps=1)
    generator = ImageGenerator("cpu", registry, "tiled")
    (whole,) = generator.generate(request, starter, Recorder())
    (other,) = generator.generate(request.for_single_image(1), starter, Recorder())
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    (tiled,) = generator.generate(request, starter, Recorder())

    def far(one: GeneratedImage) -> float:
        return float(numpy.abs(numpy.asarray(whole.image, float) - numpy.asarray(one.image)).mean())

    assert 0 < far(tiled) < far(other) / 2
