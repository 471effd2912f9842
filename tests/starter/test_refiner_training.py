"""The refiner: begins as the base, learns in ten steps, and its folder is what the studio calls a refiner."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

from webbduck_gradio.models.probe.checkpoint import inspect_folder
from webbduck_gradio.starter.drawing.degrade import degraded
from webbduck_gradio.starter.evaluation.inference import (
    finish_with_refiner,
    generate,
    open_pipeline,
    open_refiner,
)
from webbduck_gradio.starter.training.latents import LatentBank, encode_bank
from webbduck_gradio.starter.training.refiner import encode_second, load_refiner, refiner_loss, train_refiner
from webbduck_gradio.starter.training.refiner_model import export_refiner, refiner_from_base, refiner_time_ids
from webbduck_gradio.starter.training.unet import signal_to_noise


@pytest.fixture(scope="module")
def bundled(starter_checkpoints: Path) -> Path:
    return starter_checkpoints / "sdxl" / "webbduck-starter"


@pytest.fixture(scope="module")
def base(bundled: Path) -> StableDiffusionXLPipeline:
    return open_pipeline(bundled)


@pytest.fixture(scope="module")
def work(
    tmp_path_factory: pytest.TempPathFactory, base: StableDiffusionXLPipeline, small_shards: int
) -> Path:
    folder = tmp_path_factory.mktemp("work")
    encode_bank(base.vae, folder, shards=1)
    encode_bank(base.vae, folder, shards=1, name="latents-poor", change=degraded)
    return folder


def test_it_begins_with_what_the_base_knows(base: StableDiffusionXLPipeline) -> None:
    refiner = refiner_from_base(base.unet)
    assert torch.equal(refiner.conv_in.weight, base.unet.conv_in.weight)
    theirs = base.unet.up_blocks[2].resnets[1].conv1.weight
    assert torch.equal(refiner.up_blocks[1].resnets[1].conv1.weight, theirs)
    keys = refiner.down_blocks[1].attentions[0].transformer_blocks[0].attn2.to_k.weight
    base_keys = base.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2.to_k.weight
    assert torch.equal(keys, base_keys[:, -48:])


@pytest.mark.slow
def test_ten_steps_lower_its_loss_and_its_folder_loads(
    base: StableDiffusionXLPipeline, bundled: Path, work: Path, tmp_path: Path
) -> None:
    drawn = LatentBank(work).batch(random.Random(1), 12)
    context, pooled = encode_second(base, ["a duck"] * 12)
    ids = refiner_time_ids(drawn.width, drawn.height, torch.full((12,), 6.5))

    def loss(unet: UNet2DConditionModel) -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            return refiner_loss(unet, drawn.latents, context, pooled, ids, signal_to_noise()).item()

    trained = train_refiner(work, base, 60, steps=10, batch=3, peak=2e-3, warm_up=4)
    assert loss(trained) < 0.9 * loss(refiner_from_base(base.unet))
    folder = tmp_path / "refiner"
    export_refiner(load_refiner(work), bundled, folder, "made by a test")
    assert inspect_folder(folder).arch == "sdxl-refiner"
    refiner = open_refiner(folder)
    assert refiner.config.requires_aesthetics_score
    assert refiner.text_encoder is None
    switched: list[torch.Tensor] = []
    (alone,) = generate(base, ["a duck"], [1], width=64, height=64, steps=5, switched=switched)
    options = {"num_inference_steps": 5, "guidance_scale": 5.0, "width": 64, "height": 64}
    handed = base(
        "a duck",
        denoising_end=0.8,
        output_type="latent",
        generator=[torch.Generator().manual_seed(1)],
        **options,
    ).images
    assert torch.equal(torch.cat(switched), handed)
    (picture,) = finish_with_refiner(refiner, switched, ["a duck"], steps=5)
    assert picture.shape == (64, 64, 3)
    assert not np.array_equal(picture, alone)


def test_no_latents_is_one_sentence(base: StableDiffusionXLPipeline, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no latents"):
        train_refiner(tmp_path, base, 1)
    with pytest.raises(FileNotFoundError, match="train the refiner first"):
        load_refiner(tmp_path)
