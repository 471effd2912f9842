"""Trainings of a few steps: they lower their loss, go on where they stopped, and even out latents exactly."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from webbduck_gradio.starter.captions.captions import caption
from webbduck_gradio.starter.drawing.scenes import draw, sample
from webbduck_gradio.starter.training.latents import LatentBank, encode_bank, freeze_vae, load_frozen_vae
from webbduck_gradio.starter.training.loop import (
    AveragedWeights,
    TrainingClock,
    learning_rate,
    load_state,
    save_state,
)
from webbduck_gradio.starter.training.models import UNET_CONFIG, load_tokenizers, time_ids, tokenize
from webbduck_gradio.starter.training.unet import noise_loss, signal_to_noise, spread_timesteps, train_unet
from webbduck_gradio.starter.training.vae import VAE_CONFIG, psnr, reconstruction_loss, to_tensor, train_vae

TINY_VAE: dict[str, Any] = {**VAE_CONFIG, "block_out_channels": [8, 8, 16, 16], "norm_num_groups": 4}
TINY_UNET: dict[str, Any] = {
    **UNET_CONFIG,
    "block_out_channels": [16, 16, 32],
    "attention_head_dim": [1, 1, 1],
    "norm_num_groups": 8,
}


def _pictures(count: int = 3) -> torch.Tensor:
    rng = random.Random(31)
    return to_tensor([draw(sample(rng, held_out=True), index) for index in range(count)])


@torch.no_grad()
def _vae_loss(vae: AutoencoderKL) -> float:
    real = _pictures()
    return reconstruction_loss(vae.decode(vae.encode(real).latent_dist.mode()).sample, real).item()


def test_eight_steps_lower_the_autoencoders_loss(tmp_path: Path) -> None:
    fresh = train_vae(tmp_path / "none", minutes=0, config=TINY_VAE)
    trained = train_vae(tmp_path / "some", minutes=60, steps=8, config=TINY_VAE, warm_up=2, peak=4e-3)
    assert _vae_loss(trained) < 0.95 * _vae_loss(fresh)


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    train_vae(tmp_path, minutes=60, steps=2, config=TINY_VAE)
    state = load_state(tmp_path / "vae.pt")
    assert state is not None
    assert state["step"] == 2
    train_vae(tmp_path, minutes=60, steps=3, config=TINY_VAE)
    state = load_state(tmp_path / "vae.pt")
    assert state is not None
    assert state["step"] == 3


@pytest.mark.slow
def test_evening_out_changes_latents_but_no_picture(tmp_path: Path) -> None:
    vae = train_vae(tmp_path, minutes=60, steps=3, config=TINY_VAE, warm_up=1).eval()
    real = _pictures()
    with torch.no_grad():
        before = vae.decode(vae.encode(real).latent_dist.mode()).sample
        freeze_vae(vae, tmp_path, pictures=40)
        latents = vae.encode(_pictures(12)).latent_dist.mode()
        after = vae.decode(vae.encode(real).latent_dist.mode()).sample
    assert torch.allclose(before, after, atol=2e-3)
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 4)
    assert rows.mean(0).abs().max() < 0.3
    assert (torch.cov(rows.T) - torch.eye(4)).abs().max() < 0.5


@pytest.mark.slow
def test_twenty_steps_lower_the_unets_loss(
    tmp_path: Path, starter_checkpoints: Path, small_shards: int
) -> None:
    tokenizers = load_tokenizers(starter_checkpoints / "sdxl" / "webbduck-starter")
    freeze_vae(train_vae(tmp_path, minutes=0, config=TINY_VAE), tmp_path, pictures=10)
    encode_bank(load_frozen_vae(tmp_path), tmp_path, shards=2)
    bank = LatentBank(tmp_path)
    assert len(bank) == 2 * small_shards
    batch = bank.batch(random.Random(1), 16)

    def loss(steps: int) -> float:
        unet, text = train_unet(
            tmp_path, tokenizers, 60, steps=steps, batch=8, unet_config=TINY_UNET, warm_up=4, peak=4e-3
        )
        rng = random.Random(2)
        rows = [
            text.vocabulary.rows(ids)
            for ids in tokenize(tokenizers, [caption(a, rng) for a in batch.attributes])
        ]
        torch.manual_seed(0)
        with torch.no_grad():
            context, pooled = text(*rows)
            ids = time_ids(batch.width, batch.height, 16)
            return noise_loss(unet, batch.latents, context, pooled, ids, signal_to_noise()).item()

    before = loss(0)
    assert loss(20) < 0.97 * before


def test_timesteps_are_spread_over_the_whole_schedule() -> None:
    steps = spread_timesteps(10)
    assert sorted(int(step) // 100 for step in steps) == list(range(10))


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(1.0, step, step / 1000, warm_up=100) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) > 0.95
    assert rates[-1] < 0.03


def test_a_clock_by_steps_and_a_clock_by_time() -> None:
    clock = TrainingClock(minutes=60, steps=2)
    clock.tick()
    assert clock.progress == 0.5
    clock.tick()
    assert clock.done
    assert TrainingClock(minutes=0).done


def test_averaged_weights_come_and_go() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    average = AveragedWeights([parameter], decay=0.5)
    with torch.no_grad():
        parameter.fill_(1.0)
    average.update(step=100)
    average.swap_in()
    assert parameter.tolist() == [0.5, 0.5, 0.5]
    average.swap_out()
    assert parameter.tolist() == [1.0, 1.0, 1.0]


def test_a_state_is_written_whole(tmp_path: Path) -> None:
    assert load_state(tmp_path / "a.pt") is None
    save_state(tmp_path / "a.pt", {"step": 1, "rows": torch.ones(2)})
    save_state(tmp_path / "a.pt", {"step": 2, "rows": torch.ones(2)})
    state = load_state(tmp_path / "a.pt")
    assert state is not None
    assert state["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_psnr_of_a_known_error() -> None:
    real = torch.zeros(1, 3, 8, 8) - 1
    made = real + 10 / 127.5
    assert psnr(made, real).item() == pytest.approx(28.13, abs=0.01)
