"""Trains the UNet and both text encoders together on the bank of latents."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from .captions import caption, full_caption
from .latents import LatentBank
from .models import CompactVocabulary, TextSide, make_scheduler, make_unet, time_ids, tokenize
from .scenes import Attributes
from .training import AveragedWeights, Clock, Diary, learning_rate, load_state, save_state

BATCH = 16
EMPTY_SHARE = 0.09
"""Pictures trained without their caption, so that guidance has something to lead away from."""
_SEED = 90210
_SNR_LIMIT = 5.0


def signal_to_noise() -> torch.Tensor:
    """(1000,) ratio of signal to noise power at each training timestep."""
    kept = make_scheduler().alphas_cumprod
    return kept / (1 - kept)


def spread_timesteps(count: int) -> torch.Tensor:
    """One timestep from each of `count` equal parts of the schedule: a calmer loss than independent draws."""
    parts = (torch.arange(count) + torch.rand(count)) / count
    return (parts * 1000).long().clamp_(max=999)


def caption_batch(attributes: list[Attributes], rng: random.Random) -> tuple[list[str], torch.Tensor]:
    """Captions, and which of them are conditioned by zeros instead (count,) bool.

    An empty prompt reaches SDXL in two forms: encoded, or as zero embeddings where there is no negative
    prompt at all. Both are trained.
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
) -> torch.Tensor:
    """Error of the predicted noise, weighted so that nearly clean latents do not rule the training.

    In strong noise the error is small whatever the model does, yet it is there that colour, place and time
    of day are decided: those timesteps count up to ten times.
    """
    count = len(latents)
    steps = spread_timesteps(count)
    noise = torch.randn_like(latents)
    kept = (snr / (1 + snr))[steps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    noisy = noisy.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
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
    """Train until `minutes` or `steps` are used up, keeping `work`/unet.pt up to date.

    Gives back UNet and text encoders with their averaged weights.
    """
    torch.manual_seed(_SEED)
    path = work / "unet.pt"
    state = load_state(path)
    vocabulary = CompactVocabulary(state["ids"]) if state else CompactVocabulary.of_captions(tokenizers[0])
    unet, text = make_unet(unet_config).to(memory_format=torch.channels_last), TextSide(vocabulary)
    clock = Clock(minutes=minutes, steps=steps)
    trained = [*unet.parameters(), *text.parameters()]
    average = AveragedWeights(trained, decay=0.999)
    optimiser = torch.optim.AdamW(trained, lr=peak, betas=(0.9, 0.99), weight_decay=1e-2, fused=True)
    if state is not None:
        unet.load_state_dict(state["unet"])
        text.load_state_dict(state["text"])
        optimiser.load_state_dict(state["optimiser"])
        average.values = state["average"]
        clock.step, clock.seconds = state["step"], state["seconds"]
        torch.manual_seed(_SEED + clock.step)

    def save() -> None:
        save_state(
            path,
            {
                "unet": unet.state_dict(),
                "text": text.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average.values,
                "ids": vocabulary.ids,
                "step": clock.step,
                "seconds": clock.seconds,
            },
        )

    bank, snr, diary = LatentBank(work), signal_to_noise(), Diary(every=50)
    if not len(bank):
        raise FileNotFoundError(f"no latents in {work / 'latents'}: make them first (train latents)")
    log(f"{len(bank)} latents, {sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M UNet parameters")
    saved_at = clock.seconds
    clock.restart()
    while not clock.done:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(peak, clock.step, clock.progress, warm_up)
        rng = random.Random(_SEED * 1_000_003 + clock.step)
        drawn = bank.batch(rng, batch)
        texts, zeroed = caption_batch(drawn.attributes, rng)
        first, second = tokenize(tokenizers, texts)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            context, pooled = text(vocabulary.rows(first), vocabulary.rows(second))
        kept = (~zeroed).float()
        context, pooled = context.float() * kept.view(-1, 1, 1), pooled.float() * kept.view(-1, 1)
        loss = noise_loss(
            unet, drawn.latents, context, pooled, time_ids(drawn.width, drawn.height, batch), snr
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        average.update(clock.step)
        clock.tick()
        diary.note(clock, {"loss": loss.item()})
        if clock.step % 200 == 0:
            bank.refresh()
        if clock.seconds - saved_at > 150:
            saved_at = clock.seconds
            save()
    save()
    average.swap_in()
    return unet, text


def load_trained(work: Path) -> tuple[UNet2DConditionModel, TextSide]:
    """UNet and text encoders with their averaged weights, as far as `work`/unet.pt has come."""
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
