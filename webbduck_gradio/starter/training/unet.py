"""Trains the UNet and both text encoders jointly on precomputed latents."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from ..captions.captions import caption, full_caption
from ..drawing.scenes import Attributes
from ..precision import autocast
from .latents import LatentBank
from .loop import AveragedWeights, Training, TrainingClock, load_state
from .models import CompactVocabulary, TextSide, make_scheduler, make_unet, time_ids, tokenize

BATCH = 16
EMPTY_SHARE = 0.09
"""Share of captions dropped for classifier-free guidance."""
_SEED = 90210
_SNR_LIMIT = 5.0


def signal_to_noise() -> torch.Tensor:
    """(1000,) signal-to-noise ratio (power) at each training timestep."""
    kept = make_scheduler().alphas_cumprod
    return kept / (1 - kept)


def spread_timesteps(count: int) -> torch.Tensor:
    """Stratified timesteps, one from each of `count` equal parts: less variance than independent ones."""
    parts = (torch.arange(count) + torch.rand(count)) / count
    return (parts * 1000).long().clamp_(max=999)


def caption_batch(attributes: list[Attributes], rng: random.Random) -> tuple[list[str], torch.Tensor]:
    """Captions, and a mask (count,) of those replaced by zero embeddings.

    An empty prompt has two forms in SDXL: encoded, or zero embeddings without a negative prompt. Both are
    trained.
    """
    texts, zeroed = [], []
    for shown in attributes:
        empty = rng.random() < EMPTY_SHARE
        zeroed.append(empty and rng.random() < 0.5)
        texts.append("" if empty else (full_caption if rng.random() < 0.2 else caption)(shown, rng))
    return texts, torch.tensor(zeroed)


def noise_loss(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    context: torch.Tensor,
    pooled: torch.Tensor,
    ids: torch.Tensor,
    snr: torch.Tensor,
    timesteps: torch.Tensor | None = None,
) -> torch.Tensor:
    """Error of the predicted noise, weighted so that nearly clean latents do not dominate.

    At high noise the error is always small, although colour, setting and time of day are decided there: those
    timesteps are weighted up to ten times. `timesteps`: (count,), spread over all if none are given.
    """
    count = len(latents)
    steps = spread_timesteps(count) if timesteps is None else timesteps
    noise = torch.randn_like(latents)
    kept = (snr / (1 + snr))[steps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    noisy = noisy.contiguous(memory_format=torch.channels_last)
    with autocast():
        guess = unet(noisy, steps, context, added_cond_kwargs={"text_embeds": pooled, "time_ids": ids}).sample
    weight = (_SNR_LIMIT / snr[steps]).clamp(max=1.0) * (1 + 9 * (steps / 1000) ** 4)
    return ((guess.float() - noise).square().mean(dim=(1, 2, 3)) * weight).mean()


def train_unet(
    work: Path,
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer],
    minutes: float,
    steps: int | None = None,
    batch: int = BATCH,
    peak: float = 1e-3,
    warm_up: int = 200,
    unet_config: dict[str, Any] | None = None,
    log: Callable[[str], None] = print,
) -> tuple[UNet2DConditionModel, TextSide]:
    """Train for `minutes` or `steps`, saving state to `work`/unet.pt.

    Returns UNet and text encoders with averaged weights.
    """
    torch.manual_seed(_SEED)
    path = work / "unet.pt"
    state = load_state(path)
    vocabulary = CompactVocabulary(state["ids"]) if state else CompactVocabulary.of_captions(tokenizers[0])
    unet, text = make_unet(unet_config).to(memory_format=torch.channels_last), TextSide(vocabulary)
    training = Training(
        path,
        {"unet": unet, "text": text},
        [*unet.parameters(), *text.parameters()],
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.999,
        weight_decay=1e-2,
        notes={"ids": vocabulary.ids},
    )
    bank, snr = LatentBank(work), signal_to_noise()
    if not len(bank):
        raise FileNotFoundError(f"no latents in {work / 'latents'}: make them first (train latents)")
    log(f"{len(bank)} latents, {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M UNet parameters")

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = random.Random(_SEED * 1_000_003 + step)
        drawn = bank.batch(rng, batch)
        texts, zeroed = caption_batch(drawn.attributes, rng)
        first, second = tokenize(tokenizers, texts)
        with autocast():
            context, pooled = text(vocabulary.rows(first), vocabulary.rows(second))
        kept = (~zeroed).float()
        context, pooled = context.float() * kept.view(-1, 1, 1), pooled.float() * kept.view(-1, 1)
        ids = time_ids(drawn.width, drawn.height, batch)
        return noise_loss(unet, drawn.latents, context, pooled, ids, snr), {}

    training.run(loss_of, after=lambda step: None if step % 200 else bank.refresh())
    return unet, text


def load_trained(work: Path) -> tuple[UNet2DConditionModel, TextSide]:
    """UNet and text encoders with averaged weights from `work`/unet.pt."""
    state = load_state(work / "unet.pt")
    if state is None:
        raise FileNotFoundError(f"{work / 'unet.pt'} is not there: train the unet first")
    unet, text = make_unet(), TextSide(CompactVocabulary(state["ids"]))
    unet.load_state_dict(state["unet"])
    text.load_state_dict(state["text"])
    average = AveragedWeights([*unet.parameters(), *text.parameters()], decay=0.0)
    average.values = state["average"]
    average.swap_in()
    return unet, text
