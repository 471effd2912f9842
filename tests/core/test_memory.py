"""Memory: what stays, what goes, and what happens when there is too little. Shortage is made at the border
to the device: torch's own calls raise what they raise there."""

from __future__ import annotations

import dataclasses
import gc
import sys
import weakref
from pathlib import Path

import numpy
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from recorder import Recorder

from webbduck_gradio.core import checkpoint_files, devices
from webbduck_gradio.core.checkpoint_cache import CheckpointCache
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import OutOfMemoryError, SettingsError

CPU_SHORTAGE = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    CPU_SHORTAGE,
    RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
    MemoryError(),
]
WIDE = {"width": 576, "height": 64}
"""Wider than a tile."""


def failing(monkeypatch, owner: type, method: str, error: BaseException, times: int) -> None:
    """The next `times` calls of this method fail."""
    inner, left = getattr(owner, method), [times]

    def call(*arguments: object, **more: object) -> object:
        if left[0] > 0:
            left[0] -= 1
            raise error
        return inner(*arguments, **more)

    monkeypatch.setattr(owner, method, call)


def silent(text: str) -> None: ...


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_shortage_while_drawing_is_met_once_and_said(
    generator, starter, ask, paint, monkeypatch, error
) -> None:
    (expected,) = paint(steps=1)
    failing(monkeypatch, UNet2DConditionModel, "forward", error, 1)
    (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    assert numpy.array_equal(picture.image, expected)
    assert picture.warnings == ("Memory ran out; generated again with memory policy 'tiled'.",)
    assert generator.describe()["policy"] == "tiled"
    assert "memory_policy" not in picture.facts  # it is smaller than a tile


def test_shortage_in_the_vae_turns_tiles_on_without_loading_anew(registry, starter, ask, monkeypatch) -> None:
    generator = ImageGenerator("cpu", registry)
    failing(monkeypatch, AutoencoderKL, "_decode", CPU_SHORTAGE, 1)
    recorder = Recorder()
    (picture,) = generator.generate(ask(steps=1), starter, recorder)
    assert "policy 'tiled'" in picture.warnings[0]
    assert recorder.texts.count("Loading webbduck-starter; the first picture takes longer") == 1


def test_a_decode_that_was_thought_to_fit_is_done_again_in_tiles(registry, starter, ask, monkeypatch) -> None:
    generator = ImageGenerator("cpu", registry, policy="tiled")
    failing(monkeypatch, AutoencoderKL, "_decode", CPU_SHORTAGE, 1)
    (picture,) = generator.generate(ask(steps=1, **WIDE), starter, Recorder())
    assert picture.warnings == ("Memory ran out; generated again, decoded in tiles.",)
    assert picture.facts["memory_policy"] == "tiled"
    (next_one,) = generator.generate(ask(steps=1, **WIDE), starter, Recorder())
    assert next_one.warnings == () and next_one.image == picture.image
    (small,) = generator.generate(ask(steps=1), starter, Recorder())
    assert "memory_policy" not in small.facts
    failing(monkeypatch, AutoencoderKL, "_decode", CPU_SHORTAGE, 9)
    with pytest.raises(OutOfMemoryError):
        list(generator.generate(ask(steps=1, **WIDE), starter, Recorder()))


def test_where_nothing_is_left_to_save_one_job_fails_with_what_to_lower(
    generator, starter, ask, paint, monkeypatch
) -> None:
    (expected,) = paint(steps=1)
    failing(monkeypatch, UNet2DConditionModel, "forward", CPU_SHORTAGE, 2)
    with pytest.raises(
        OutOfMemoryError, match=r"^There is not enough memory for 64 x 64 pixels; choose a smaller size"
    ):
        list(generator.generate(ask(steps=1), starter, Recorder()))
    (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    assert numpy.array_equal(picture.image, expected)


def test_a_smaller_picture_is_drawn_with_the_usual_policy_again(generator, starter, ask, monkeypatch) -> None:
    failing(monkeypatch, UNet2DConditionModel, "forward", CPU_SHORTAGE, 1)
    list(generator.generate(ask(steps=1, width=128), starter, Recorder()))
    assert generator.describe()["policy"] == "tiled"
    list(generator.generate(ask(steps=1, width=128), starter, Recorder()))
    assert generator.describe()["policy"] == "tiled"
    (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    assert generator.describe()["policy"] == "resident" and "memory_policy" not in picture.facts


def test_what_ran_short_is_let_go_before_it_is_tried_again(generator, starter, ask, monkeypatch) -> None:
    """The error of the first try holds all of its tensors: kept, they would make the second one fail too."""
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []
    inner = UNet2DConditionModel.forward

    def forward(
        self: UNet2DConditionModel, sample: torch.Tensor, *arguments: object, **more: object
    ) -> object:
        if not held:
            held.append(weakref.ref(sample))
            raise RuntimeError("out of memory")
        gc.collect()
        alive.append(held[0]() is not None)
        return inner(self, sample, *arguments, **more)

    monkeypatch.setattr(UNet2DConditionModel, "forward", forward)
    list(generator.generate(ask(steps=1), starter, Recorder()))
    assert alive == [False]


def test_shortage_while_loading_names_the_checkpoint(registry, starter, ask, monkeypatch) -> None:
    generator = ImageGenerator("cpu", registry)
    failing(monkeypatch, torch.nn.Module, "to", CPU_SHORTAGE, 9)
    with pytest.raises(OutOfMemoryError, match="not enough memory to load webbduck-starter"):
        list(generator.generate(ask(steps=1), starter, Recorder()))


def test_a_checkpoint_that_cannot_fit_is_refused_before_it_is_read(starter, monkeypatch) -> None:
    """The system would end the whole studio."""
    pipelines = CheckpointCache("cpu")
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    with pytest.raises(OutOfMemoryError, match=r"webbduck-starter needs .* GiB.*--precision bfloat16"):
        pipelines.get(starter, silent)


def test_the_last_used_stay_within_the_budget(starter) -> None:
    twin = dataclasses.replace(starter, name="twin", modified=1.0, path=starter.path.parent / "." / "refiner")
    roomy, tight = CheckpointCache("cpu"), CheckpointCache("cpu", budget=1)
    for pipelines, names in ((roomy, ["webbduck-starter", "twin"]), (tight, ["twin"])):
        first = pipelines.get(starter, silent)
        assert pipelines.get(starter, silent) is first
        pipelines.get(dataclasses.replace(twin, arch="sdxl-refiner"), silent)
        assert pipelines.names == names
        assert (pipelines.get(starter, silent) is first) == (pipelines is roomy)
    pair = CheckpointCache("cpu", budget=1)
    pair.get(starter, silent)
    pair.get(dataclasses.replace(twin, arch="sdxl-refiner"), silent, keep=[starter])
    assert len(pair.names) == 2  # both passes of one picture
    pair.free()
    assert pair.names == []


def test_embeddings_of_unchanged_prompts_are_not_made_again(registry, starter, ask, monkeypatch) -> None:
    generator = ImageGenerator("cpu", registry)
    pipe = generator.pipelines.get(starter, silent).pipe
    calls = []
    pipe.text_encoder_2.register_forward_hook(lambda *_: calls.append(1))
    list(generator.generate(ask(steps=1), starter, Recorder()))
    once = len(calls)
    list(generator.generate(ask(steps=1, seed=8, scheduler="Euler"), starter, Recorder()))
    assert len(calls) == once > 0
    list(generator.generate(ask(steps=1, prompt="a blue duck"), starter, Recorder()))
    assert len(calls) > once


def test_embeddings_are_never_those_of_another_lora(registry, starter, ask, paint) -> None:
    """Loaded again, a checkpoint counts its adapters from the start; none may pass for another one."""
    expected = paint(steps=1, loras=[{"name": "kohya", "weight": 1}], prompt="a blue duck")
    generator = ImageGenerator("cpu", registry)
    whole = ask(steps=1, loras=[{"name": "whole", "weight": 1}], prompt="a blue duck")
    list(generator.generate(whole, starter, Recorder()))
    generator.pipelines.free()  # as when another checkpoint needs the room
    kohya = ask(steps=1, loras=[{"name": "kohya", "weight": 1}], prompt="a blue duck")
    recorder = Recorder()
    (picture,) = generator.generate(kohya, starter, recorder)
    assert "Encoding the prompt" in recorder.texts
    assert numpy.array_equal(picture.image, expected[0])


def test_the_policy_that_was_asked_for_is_used() -> None:
    assert ImageGenerator("cpu", policy="tiled", precision="bfloat16").describe()["policy"] == "tiled"
    with pytest.raises(SettingsError, match="--device mps is not available on this computer"):
        devices.chosen_device("mps" if not torch.backends.mps.is_available() else "mps:99")


def test_another_precision_draws_the_same_motif(registry, starter, ask, paint) -> None:
    generator = ImageGenerator("cpu", registry, precision="bfloat16")
    # CPUs round differently; with this seed the small difference does not grow with the steps.
    asked = {"sampler": "Euler", "schedule": "Karras", "steps": 8}
    (picture,) = generator.generate(ask(**asked, seed=8), starter, Recorder())
    assert picture.facts["dtype"] == "bfloat16"
    (exact,), (other,) = paint(**asked, seed=8), paint(**asked, seed=9)
    difference = numpy.abs(numpy.asarray(picture.image).astype(int) - exact).mean()
    assert 0 < difference < numpy.abs(other - exact).mean() / 10


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process' map of its memory")
def test_a_file_in_its_own_number_format_is_not_copied(tmp_path: Path) -> None:
    from webbduck_gradio.benchmarks import original_layout as original
    from webbduck_gradio.models.catalog.registry import Registry
    from webbduck_gradio.settings import Settings

    settings = Settings(checkpoints=tmp_path, loras=tmp_path / "lora")
    path = original.write(tmp_path / "sdxl" / "base.safetensors", "base", original.small("base"))
    pipe = checkpoint_files.read(Registry(settings).checkpoint("base"), torch.float16)
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(path)):
            low, high = (int(end, 16) for end in line.split()[0].split("-"))
            ranges.append((low, high))
    for model in (pipe.unet, pipe.vae, pipe.text_encoder):
        inside = [
            each.numel()
            for each in model.parameters()
            if any(low <= each.data_ptr() < high for low, high in ranges)
        ]
        assert sum(inside) > 0.95 * sum(each.numel() for each in model.parameters())
