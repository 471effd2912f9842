"""What is loaded of a checkpoint: float8 with scales, other names of the same weights, variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from making import copy_of
from safetensors.torch import load_file, save_file

from webbduck_gradio.benchmarks import original_layout as original
from webbduck_gradio.core.checkpoint_cache import CheckpointCache
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

UNET = "model.diffusion_model."
SECOND = "conditioner.embedders.1.model."
PLACE = UNET + "middle_block.1.transformer_blocks.0.ff.net.2.weight"
NAME = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    return load_file(original.write(path, "base", original.small("base")))


def loaded(folder: Path, tensors: Tensors, pipelines: CheckpointCache | None = None):
    settings = Settings(checkpoints=folder, loras=folder / "lora")
    (folder / "sdxl").mkdir(exist_ok=True)
    save_file({key: each.contiguous() for key, each in tensors.items()}, folder / "sdxl" / "a.safetensors")
    checkpoint = Registry(settings).checkpoint("a")
    made = (pipelines or CheckpointCache("cpu")).get(checkpoint, lambda text: None)
    assert made.size == checkpoint.size_bytes * 2  # float32 here; reckoned in half precision
    return made.pipe


def by_all(weights: torch.Tensor) -> torch.Tensor:
    return weights.abs().max() / 400


def by_row(weights: torch.Tensor) -> torch.Tensor:
    return weights.flatten(1).abs().amax(1) / 400


def by_row_turned(weights: torch.Tensor) -> torch.Tensor:
    return by_row(weights)[:, None]


def by_block(weights: torch.Tensor) -> torch.Tensor:
    out, into = weights.shape
    return weights.reshape(out // 32, 32, into // 32, 32).abs().amax((1, 3)) / 400


def spread(scale: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Each weight's scale, written out without the code under test."""
    if scale.ndim == 2 and scale.shape[1] > 1:
        return torch.kron(scale, torch.ones(32, 32))
    return scale.reshape(-1, *((1,) * (len(shape) - 1))).expand(shape)


@pytest.mark.parametrize(
    ("scales", "ending"),
    [
        (by_all, "scale_weight"),
        (by_row, "weight_scale"),
        (by_row_turned, "scale_weight"),
        (by_block, "weight_scale_inv"),
    ],
)
def test_scaled_float8_is_stored_times_scale(
    tmp_path: Path, plain: Tensors, scales: Callable[[torch.Tensor], torch.Tensor], ending: str
) -> None:
    tensors, right = dict(plain), {}
    for key, weights in plain.items():
        if not key.startswith(UNET) or not key.endswith(".weight") or weights.ndim != 2:
            continue
        scale = scales(weights.float())
        tensors[key] = (weights.float() / spread(scale, weights.shape)).to(torch.float8_e4m3fn)
        tensors[key.removesuffix("weight") + ending] = scale
        right[key] = tensors[key].float() * spread(scale, weights.shape)
    tensors[UNET + "scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    found = loaded(tmp_path, tensors).unet.state_dict()[NAME]
    assert torch.equal(found, right[PLACE])
    assert (found - plain[PLACE].float()).abs().max() < 0.07 * plain[PLACE].float().abs().max()


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float32])
def test_plain_formats_are_only_cast(tmp_path: Path, plain: Tensors, dtype: torch.dtype) -> None:
    pipe = loaded(tmp_path, {key: each.to(dtype) for key, each in plain.items()})
    assert torch.equal(pipe.unet.state_dict()[NAME], plain[PLACE].to(dtype).float())


def test_the_projection_by_its_other_name(tmp_path: Path, plain: Tensors) -> None:
    tensors = dict(plain)
    turned = tensors.pop(SECOND + "text_projection").T
    found = loaded(tmp_path, tensors | {SECOND + "text_projection.weight": turned}).text_encoder_2
    assert torch.equal(found.text_projection.weight, turned.float())


def test_each_part_of_a_folder_may_be_of_a_variant_of_its_own(starter, tmp_path: Path) -> None:
    folder = copy_of(starter.path, tmp_path / "sdxl" / "parts")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    weights = folder / "text_encoder" / "model.safetensors"
    weights.rename(weights.with_name("model.bf16.safetensors"))
    registry = Registry(Settings(checkpoints=tmp_path, loras=tmp_path / "lora"))
    pipelines = CheckpointCache("cpu")
    mine = pipelines.get(registry.checkpoint("parts"), lambda text: None).pipe
    theirs = pipelines.get(starter, lambda text: None).pipe
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        right = getattr(theirs, part).state_dict()
        for key, each in getattr(mine, part).state_dict().items():
            assert torch.equal(each, right[key]), (part, key)
