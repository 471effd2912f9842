"""LoRAs that cannot be applied: the sentence says why, and the next picture is that of the bare model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import safetensors.torch
import torch
from diffusers import UNet2DConditionModel
from making import copy_of
from recorder import Recorder
from request_checks import validate
from safetensors.torch import load_file, save_file

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

Draw = Callable[[str], Any]


@pytest.fixture
def weights(folders: Settings) -> dict[str, torch.Tensor]:
    return load_file(folders.loras / "unet.safetensors")


@pytest.fixture
def studio(folders: Settings, tmp_path) -> Settings:
    settings = Settings(
        checkpoints=folders.checkpoints,
        loras=tmp_path / "lora",
        outputs=tmp_path / "o",
        inputs=tmp_path / "i",
    )
    settings.make_folders()
    return settings


@pytest.fixture
def draw(studio: Settings, generator: ImageGenerator, ask) -> Draw:
    """Draws with the LoRA of that name, which need not have been admitted."""

    def make(name: str, before: Callable[[], None] = lambda: None) -> Any:
        registry = Registry(studio)
        used = ImageGenerator("cpu", registry)
        used.pipelines = generator.pipelines  # the checkpoint is in memory there
        request = ask(loras=[{"name": name, "weight": 1}] if name else [])
        checkpoint = registry.checkpoint("webbduck-starter")
        before()
        (picture,) = used.generate(request, checkpoint, Recorder())
        return picture

    return make


def test_a_shortage_while_a_lora_loads_is_met_with_less_memory(
    studio, weights, draw, paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(weights, studio.loras / "a.safetensors")
    whole, failures = safetensors.torch.load, [torch.OutOfMemoryError("out of memory")]

    def short(data: bytes) -> dict[str, torch.Tensor]:
        if failures:
            raise failures.pop()
        return whole(data)

    monkeypatch.setattr(safetensors.torch, "load", short)
    picture = draw("a")
    assert not failures and "Memory ran out; generated again" in picture.warnings[0]


def test_a_file_that_is_gone_is_called_gone(studio, weights, draw, paint) -> None:
    path = studio.loras / "a.safetensors"
    save_file(weights, path)
    bare = paint()
    with pytest.raises(ModelError, match=r"The LoRA a cannot be read \(no such file or directory\)"):
        draw("a", before=path.unlink)
    assert numpy.array_equal(numpy.asarray(draw("").image), bare[0])


def test_a_file_that_cannot_be_read(studio, weights, draw) -> None:
    path = studio.loras / "a.safetensors"
    save_file(weights, path)

    def into_a_folder() -> None:
        path.unlink()
        path.mkdir()

    with pytest.raises(ModelError, match=r"The LoRA a cannot be read \(is a directory\)"):
        draw("a", before=into_a_folder)


def test_a_file_that_was_cut_off_meanwhile(studio, weights, draw) -> None:
    path = studio.loras / "a.safetensors"
    save_file(weights, path)
    with pytest.raises(ModelError, match="The LoRA a could not be loaded; get it again"):
        draw("a", before=lambda: path.write_bytes(path.read_bytes()[:-500]))


BROKEN: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "no numbers": (lambda up: up.index_fill(0, torch.tensor([1]), torch.nan), "contains NaN or infinity"),
    "endless": (lambda up: up * torch.inf, "contains NaN or infinity"),
    "nothing": (torch.zeros_like, "has no effect: its weights or alphas are all zero"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_weights_that_draw_nothing_sensible(studio, weights, draw, paint, case: str) -> None:
    change, words = BROKEN[case]
    changed = {key: change(value) if ".lora_B." in key else value for key, value in weights.items()}
    save_file(changed, studio.loras / "a.safetensors")
    bare = paint()
    with pytest.raises(ModelError, match=f"The LoRA a .*{words}"):
        draw("a")
    assert numpy.array_equal(numpy.asarray(draw("").image), bare[0])


@pytest.mark.parametrize("odd", [{"steps": 5, "table": {"a": 1}}, {"half of a letter": "\ud83e"}, None])
def test_text_encoders_alone_and_metadata_that_is_no_text(studio, folders, draw, paint, odd) -> None:
    tensors = load_file(folders.loras / "whole.safetensors")
    path = studio.loras / "a.safetensors"
    save_file({key: value for key, value in tensors.items() if not key.startswith("unet.")}, path)
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps({"__metadata__": odd} | json.loads(data[8:end])).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[end:])
    drawn = numpy.asarray(draw("a").image).astype(int)
    assert numpy.abs(drawn - paint()[0]).mean() > 0.5
    assert numpy.abs(drawn - paint(loras=[{"name": "whole", "weight": 1}])[0]).mean() > 0.5


def test_a_second_checkpoint_is_looked_at_too(folders: Settings, registry: Registry, ask) -> None:
    """It takes SDXL's LoRAs, but its layers are wider than this one's parts."""
    wide = copy_of(folders.checkpoints / "sdxl" / "webbduck-starter", folders.checkpoints / "sdxl" / "wide")
    config = json.loads((wide / "unet" / "config.json").read_text())
    config["block_out_channels"] = [each * 2 for each in config["block_out_channels"]]
    shutil.rmtree(wide / "unet")
    UNet2DConditionModel.from_config(config).half().save_pretrained(wide / "unet")
    try:
        registry.refresh()
        asked = {"second_pass_model": "wide", "loras": [{"name": "unet", "weight": 1}], "steps": 10}
        with pytest.raises(ModelError, match=r"The LoRA unet does not fit wide: .* have no counterpart"):
            validate(registry, ask(**asked))
    finally:
        shutil.rmtree(wide)
        registry.refresh()
