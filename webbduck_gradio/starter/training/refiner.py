"""Trains the refiner on low noise levels: good drawings with high scores, degraded ones with low scores."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel

from ..drawing.degrade import GOOD, degraded, poor_score
from ..precision import autocast
from .latents import LatentBank, encode_bank
from .loop import AveragedWeights, Training, TrainingClock, load_state
from .models import make_unet, tokenize
from .refiner_model import LAST_STEPS, REFINER_CONFIG, refiner_from_base, refiner_time_ids
from .unet import caption_batch, signal_to_noise

STATE = "refiner.pt"
BATCH = 16
SHARDS = 72
"""Shards of good drawings; there are half as many of degraded ones."""
POOR_SHARE = 0.25
"""Share of batches with degraded drawings."""
_SEED = 31337


def refiner_banks(vae: AutoencoderKL, work: Path, shards: int = SHARDS) -> None:
    """Encode the drawings, and half as many degraded ones."""
    encode_bank(vae, work, shards)
    encode_bank(vae, work, shards // 2, "latents-poor", degraded)


def refiner_loss(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    context: torch.Tensor,
    pooled: torch.Tensor,
    ids: torch.Tensor,
    snr: torch.Tensor,
) -> torch.Tensor:
    """Error of the predicted noise in the last timesteps, weighted by the noise's standard deviation.

    In the very last timesteps the noise is too weak to be predicted; unweighted, that error would dominate.
    """
    count = len(latents)
    parts = (torch.arange(count) + torch.rand(count)) / count
    steps = (parts * LAST_STEPS).long().clamp_(max=LAST_STEPS - 1)
    noise = torch.randn_like(latents)
    kept = (snr / (1 + snr))[steps].view(-1, 1, 1, 1)
    noisy = (kept.sqrt() * latents + (1 - kept).sqrt() * noise).contiguous(memory_format=torch.channels_last)
    with autocast():
        guess = unet(noisy, steps, context, added_cond_kwargs={"text_embeds": pooled, "time_ids": ids}).sample
    weight = (snr[LAST_STEPS] / snr[steps]).sqrt()
    return ((guess.float() - noise).square().mean(dim=(1, 2, 3)) * weight).mean()


@torch.no_grad()
def encode_second(pipeline: StableDiffusionXLPipeline, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of the second text encoder: (count, 77, width) and pooled (count, 64)."""
    _, ids = tokenize((pipeline.tokenizer, pipeline.tokenizer_2), texts)
    said = pipeline.text_encoder_2(ids, output_hidden_states=True)
    return said.hidden_states[-2], said.text_embeds


def train_refiner(
    work: Path,
    base: StableDiffusionXLPipeline,
    minutes: float,
    steps: int | None = None,
    batch: int = BATCH,
    peak: float = 8e-4,
    warm_up: int = 100,
    log: Callable[[str], None] = print,
) -> UNet2DConditionModel:
    """Train for `minutes` or `steps`, saving state to `work`/refiner.pt.

    Returns the UNet with averaged weights.
    """
    torch.manual_seed(_SEED)
    unet = refiner_from_base(base.unet).to(memory_format=torch.channels_last)
    training = Training(
        work / STATE,
        {"unet": unet},
        unet.parameters(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.998,
        weight_decay=1e-2,
    )
    good, poor, snr = LatentBank(work), LatentBank(work, "latents-poor"), signal_to_noise()
    if not len(good) or not len(poor):
        raise FileNotFoundError(f"no latents in {work}: make them first (refiner_banks)")
    parameters = sum(parameter.numel() for parameter in unet.parameters()) / 1e6
    log(f"{len(good)} good and {len(poor)} poor latents, {parameters:.2f} M parameters")

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = random.Random(_SEED * 1_000_003 + step)
        is_poor = rng.random() < POOR_SHARE
        drawn = (poor if is_poor else good).batch(rng, batch)
        scores = [poor_score(seed) if is_poor else rng.uniform(*GOOD) for seed in drawn.seeds]
        texts, zeroed = caption_batch(drawn.attributes, rng)
        context, pooled = encode_second(base, texts)
        kept = (~zeroed).float()
        context, pooled = context * kept.view(-1, 1, 1), pooled * kept.view(-1, 1)
        ids = refiner_time_ids(drawn.width, drawn.height, torch.tensor(scores))
        return refiner_loss(unet, drawn.latents, context, pooled, ids, snr), {}

    def refresh(step: int) -> None:
        if step % 200 == 0:
            good.refresh()
            poor.refresh()

    training.run(loss_of, after=refresh)
    return unet


def load_refiner(work: Path) -> UNet2DConditionModel:
    """The refiner's UNet with averaged weights from `work`/refiner.pt."""
    state = load_state(work / STATE)
    if state is None:
        raise FileNotFoundError(f"{work / STATE} is not there: train the refiner first")
    unet = make_unet(REFINER_CONFIG)
    unet.load_state_dict(state["unet"])
    average = AveragedWeights(unet.parameters(), decay=0.0)
    average.values = state["average"]
    average.swap_in()
    return unet
