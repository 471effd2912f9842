"""A style's LoRA: learns in ten steps, and its file loads in the studio's core in either layout."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file

from webbduck_gradio.core.lora_adapters import LoraAdapters
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.lora_uses import LoraUse
from webbduck_gradio.models.probe.lora import inspect_lora
from webbduck_gradio.settings import Settings
from webbduck_gradio.starter.evaluation.inference import generate, open_pipeline
from webbduck_gradio.starter.training.latents import LatentBank
from webbduck_gradio.starter.training.lora import captions_for, encode_both, load_lora, style_bank, train_lora
from webbduck_gradio.starter.training.lora_files import LAYOUTS, note_lora, write_lora, write_preview
from webbduck_gradio.starter.training.models import time_ids
from webbduck_gradio.starter.training.unet import noise_loss, signal_to_noise


@pytest.fixture(scope="module")
def bundled(starter_checkpoints: Path) -> Path:
    return starter_checkpoints / "sdxl" / "webbduck-starter"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, bundled: Path, small_shards: int) -> Path:
    folder = tmp_path_factory.mktemp("lora-work")
    style_bank(open_pipeline(bundled).vae, folder, "ink", shards=1)
    return folder


def _loss(base: StableDiffusionXLPipeline, work: Path) -> float:
    """On a fixed batch, with fixed words and noise."""
    rng = random.Random(1)
    drawn = LatentBank(work, "latents-ink").batch(rng, 12)
    context, pooled = encode_both(base, captions_for(drawn.attributes, "ink sketch", rng))
    ids = time_ids(drawn.width, drawn.height, 12)
    torch.manual_seed(0)
    with torch.no_grad():
        return noise_loss(base.unet, drawn.latents, context, pooled, ids, signal_to_noise()).item()


@pytest.fixture(scope="module")
def trained(work: Path, bundled: Path) -> tuple[float, float]:
    """The loss before and after ten steps."""
    base = open_pipeline(bundled)
    before = _loss(base, work)
    train_lora(work, base, "ink", 60, steps=10, batch=3, peak=4e-3, warm_up=4)
    return before, _loss(base, work)


@pytest.mark.slow
def test_ten_steps_lower_the_loss(trained: tuple[float, float]) -> None:
    before, after = trained
    assert after < 0.9 * before


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_do_the_same_in_the_core(
    layout: str, trained: tuple[float, float], work: Path, bundled: Path, tmp_path: Path
) -> None:
    weights, steps = load_lora(work, "ink")
    assert steps == 10
    settings = Settings(loras=tmp_path, checkpoints=tmp_path / "none", outputs=tmp_path, inputs=tmp_path)
    path = tmp_path / "some.safetensors"
    write_lora(path, weights, layout, "ink sketch", "Pen and wash.", steps, 48)
    note_lora(tmp_path, "some", trigger="ink sketch", weight=0.8)
    assert path.stat().st_size < 1_000_000
    found = inspect_lora(path)
    assert (found.arch, found.kind, found.context) == ("sdxl", "LoCon", 80)
    assert found.trigger == "ink sketch"
    assert found.description == "Pen and wash."
    lora = Registry(settings).lora("some")
    assert (lora.trigger, lora.weight, lora.unusable) == ("ink sketch", 0.8, None)

    pipeline = open_pipeline(bundled)
    adapters = LoraAdapters(pipeline)
    plain = _small(pipeline)
    adapters.activate([LoraUse(lora, 0.0)])
    assert np.array_equal(_small(pipeline), plain)
    adapters.activate([LoraUse(lora, 1.0)])
    changed = _small(pipeline)
    assert not np.array_equal(changed, plain)
    assert np.abs(changed.astype(int) - _by_hand(bundled, weights)).max() <= 2


def _small(pipeline: StableDiffusionXLPipeline) -> np.ndarray:
    return generate(pipeline, ["a duck"], [3], steps=4, width=64, height=64)[0]


def _by_hand(bundled: Path, weights: dict[str, torch.Tensor]) -> np.ndarray:
    """The same picture with the LoRA's product added to the base's weights: what any layout has to do."""
    pipeline = open_pipeline(bundled)
    state = pipeline.unet.state_dict()
    for name in [name for name in weights if ".lora_A." in name]:
        down = weights[name].half().float()
        up = weights[name.replace(".lora_A.", ".lora_B.")].half().float()
        weight = state[f"{name.split('.lora_A.')[0]}.weight"]
        change = up.flatten(1) @ down.flatten(1)
        weight += change.view_as(weight)
    pipeline.unet.load_state_dict(state)
    return _small(pipeline).astype(int)


def test_notes_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "loras.json").write_text(json.dumps({"mine": {"weight": 0.3}, "ours": {"tags": ["a"]}}))
    note_lora(tmp_path, "ours", trigger="x")
    noted = json.loads((tmp_path / "loras.json").read_text())
    assert noted == {
        "mine": {"weight": 0.3},
        "ours": {"tags": ["a"], "file": "ours.safetensors", "trigger": "x"},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["loras.json"]


def test_a_preview_lies_beside_its_lora(tmp_path: Path) -> None:
    write_preview(tmp_path, "ours", np.zeros((32, 32, 3), np.uint8))
    assert (tmp_path / "ours.preview.jpg").is_file()


@pytest.mark.slow
def test_kohyas_file_names_its_trainers_fields(
    trained: tuple[float, float], work: Path, tmp_path: Path
) -> None:
    weights, _ = load_lora(work, "ink")
    path = tmp_path / "k.safetensors"
    write_lora(path, weights, "kohya", "ink sketch", "d", 20, 48)
    tensors = load_file(path)
    assert all(key.startswith("lora_unet_") for key in tensors)
    assert {key.rsplit(".", 1)[0].split(".")[-1] for key in tensors if key.endswith("weight")} == {
        "lora_down",
        "lora_up",
    }
    assert all(float(tensors[key]) == 8 for key in tensors if key.endswith(".alpha"))
