"""Pictures of one checkpoint in several forms, of UNets that differ from SDXL's, and with a VAE that was not
in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from making import copy_of
from recorder import Recorder
from request_checks import validate
from safetensors.torch import load_file, save_file

from webbduck_gradio.benchmarks import original_layout as original
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.sampling.denoiser import _guidance_embedding
from webbduck_gradio.errors import RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

VAE = "first_stage_model."
UNETS: dict[str, dict[str, Any]] = {
    "lcm": {"time_cond_proj_dim": 64},
    "ssd": {
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [1, [2, 2], [4, 4]],
        "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    },
    "vega": {
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [1, [1, 1], [2, 2]],
        "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
    },
}

Draw = Callable[..., numpy.ndarray]


@pytest.fixture(scope="module")
def parts() -> dict[str, dict[str, Any]]:
    return {"base": original.small("base")} | {
        name: original.small("base", **unet) for name, unet in UNETS.items()
    }


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, parts) -> Registry:
    folder = tmp_path_factory.mktemp("dresses")
    settings = Settings(checkpoints=folder / "checkpoint", loras=folder / "lora", outputs=folder / "out")
    settings.make_folders()
    sdxl, vae = settings.checkpoints / "sdxl", settings.checkpoints / "vae"
    for name, each in parts.items():
        original.write(sdxl / f"{name}.safetensors", "base", each)
    tensors = load_file(sdxl / "base.safetensors")
    ema = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): torch.zeros_like(each)
        for key, each in tensors.items()
        if key.startswith("model.")
    }
    forms = {
        "f32": {key: each.float() for key, each in tensors.items()},
        "bf16": {key: each.bfloat16() for key, each in tensors.items()},
        "ema": tensors | ema | {"model_ema.decay": torch.tensor(0.9999)},
        "no_vae": {key: each for key, each in tensors.items() if not key.startswith(VAE)},
    }
    for name, each in forms.items():
        save_file(each, sdxl / f"{name}.safetensors")
    vae.mkdir(exist_ok=True)
    save_file({key: each for key, each in tensors.items() if key.startswith(VAE)}, vae / "own.safetensors")
    return Registry(settings)


@pytest.fixture(scope="module")
def painter(catalog: Registry) -> ImageGenerator:
    return ImageGenerator("cpu", catalog)


@pytest.fixture(scope="module")
def draw_with() -> Callable[[Registry, ImageGenerator], Draw]:
    def of(catalog: Registry, painter: ImageGenerator) -> Draw:
        def make(name: str, **asked: Any) -> numpy.ndarray:
            quick = {"prompt": "a duck", "seed": 1, "steps": 2, "width": 64, "height": 64, "sampler": "Euler"}
            request = build_request(catalog, quick | {"base_model": name} | asked)
            validate(catalog, request)
            (picture,) = painter.generate(request, catalog.checkpoint(name), Recorder())
            return numpy.asarray(picture.image).astype(int)

        return make

    return of


@pytest.fixture(scope="module")
def draw(draw_with, catalog: Registry, painter: ImageGenerator) -> Draw:
    return draw_with(catalog, painter)


def test_one_checkpoint_in_several_forms(draw: Draw) -> None:
    half = draw("base")
    assert numpy.array_equal(draw("f32"), half)
    assert numpy.array_equal(draw("ema"), half), "the moving average is left out"
    # bfloat16 keeps 8 bits of each weight, by which 8-bit colours differ by a few steps.
    rounded = draw("bf16")
    assert not numpy.array_equal(rounded, half)
    assert numpy.abs(rounded - half).mean() < 4


def test_a_checkpoint_without_a_vae_draws_with_one(draw: Draw, catalog, painter) -> None:
    with pytest.raises(RequestError, match=r"no_vae has no VAE of its own; choose one \(vae\): own"):
        draw("no_vae")
    assert numpy.array_equal(draw("no_vae", vae="own"), draw("base"))
    painter.pipelines.free()
    painter.preload(catalog.checkpoint("no_vae"), lambda: None)
    assert painter.pipelines.names == [], "it cannot be loaded before its VAE is known"


@pytest.mark.parametrize("name", UNETS)
def test_every_weight_of_other_unets_arrives(painter, catalog, parts, name: str) -> None:
    found = painter.pipelines.get(catalog.checkpoint(name), lambda text: None).pipe.unet
    expected = parts[name]["unet"].state_dict()
    assert found.state_dict().keys() == expected.keys()
    for key, each in found.state_dict().items():
        assert torch.equal(each, expected[key].half().float()), key


def test_other_unets_draw(draw: Draw) -> None:
    assert painted(draw("ssd", pag_scale=3.0)) and painted(draw("vega"))
    assert numpy.array_equal(draw("ssd", pag_scale=3.0, slg_scale=2.0), draw("ssd")), (
        "there is nothing to perturb"
    )
    calm, strong = draw("lcm", cfg=2.0, sampler="LCM"), draw("lcm", cfg=8.0, sampler="LCM")
    assert painted(calm) and not numpy.array_equal(calm, strong)
    assert numpy.array_equal(draw("lcm", cfg=8.0, sampler="LCM", negative_prompt="rain"), strong)


def painted(pixels: numpy.ndarray) -> bool:
    return pixels.shape == (64, 64, 3) and pixels.std() > 1


@pytest.mark.parametrize("cfg", [1.0, 1.5, 8.0])
@pytest.mark.parametrize("width", [64, 256])
def test_cfg_reaches_the_unet_as_in_diffusers(cfg: float, width: int) -> None:
    theirs = StableDiffusionXLPipeline.get_guidance_scale_embedding(None, torch.tensor([cfg - 1]), width)
    assert torch.allclose(_guidance_embedding(cfg, width), theirs, atol=1e-4)


def test_folders(tmp_path: Path, starter, draw_with) -> None:
    """The starter without its VAE, which lies in a folder of its own; and with a UNet cut as SSD-1B's is."""
    whole = copy_of(starter.path, tmp_path / "checkpoint" / "sdxl" / "whole")
    bare = copy_of(starter.path, tmp_path / "checkpoint" / "sdxl" / "bare")
    (tmp_path / "checkpoint" / "vae").mkdir()
    (bare / "vae").rename(tmp_path / "checkpoint" / "vae" / "own")
    cut = copy_of(starter.path, tmp_path / "checkpoint" / "sdxl" / "cut")
    config = json.loads((whole / "unet" / "config.json").read_text()) | {
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [1, [2], [4]],
        "reverse_transformer_layers_per_block": [[4, 10], [2, 1], 1],
    }
    torch.manual_seed(0)
    UNet2DConditionModel.from_config(config).save_pretrained(cut / "unet")
    catalog = Registry(Settings(checkpoints=tmp_path / "checkpoint", loras=tmp_path / "lora"))
    draw = draw_with(catalog, ImageGenerator("cpu", catalog))
    assert catalog.checkpoint("cut").arch == "ssd-1b" and painted(draw("cut"))
    assert not catalog.checkpoint("bare").has_vae
    assert numpy.array_equal(draw("bare", vae="own"), draw("whole"))
