"""Trains a LoRA of one style on the frozen base: drawings in that style, captions with its trigger."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline
from diffusers.models.attention_processor import AttnProcessor
from peft import LoraConfig

from ..captions.captions import caption, full_caption
from ..drawing.scenes import Attributes
from ..drawing.styles import STYLES
from .latents import LatentBank, encode_bank
from .loop import Training, TrainingClock, load_state
from .models import time_ids, tokenize
from .unet import noise_loss, signal_to_noise

RANK = 8
BATCH = 12
SHARDS = 24
EMPTY_SHARE = 0.12
"""Pictures trained without a caption: guidance leads away from these, so they need the style too."""
_ADAPTER = "style"
_SEED = 5150
_TARGETS = (
    r".*(to_q|to_k|to_v|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out"
    r"|conv1|conv2|conv_shortcut)"
)
"""Attention, feed-forward, projections and the residual blocks' convolutions: a style is mostly texture."""


def state_file(work: Path, style: str) -> Path:
    """Where the training of a style keeps its state."""
    return work / f"lora-{style}.pt"


def style_bank(vae: AutoencoderKL, work: Path, style: str, shards: int = SHARDS) -> None:
    """Encode the drawings in this style (one of STYLES)."""
    apply = STYLES[style].apply
    encode_bank(vae, work, shards, f"latents-{style}", lambda picture, _seed: apply(picture))


def styled_caption(text: str, trigger: str, rng: random.Random) -> str:
    """`text` with the trigger phrase before, after or around it."""
    kind = rng.random()
    if kind < 0.45:
        return f"{trigger}, {text}"
    if kind < 0.85:
        return f"{text}, {trigger}"
    return f"{trigger} of {text}"


def captions_for(attributes: list[Attributes], trigger: str, rng: random.Random) -> list[str]:
    """A caption with the trigger for each picture, now and then an empty one."""
    texts = []
    for shown in attributes:
        text = (full_caption if rng.random() < 0.3 else caption)(shown, rng)
        texts.append("" if rng.random() < EMPTY_SHARE else styled_caption(text, trigger, rng))
    return texts


def add_lora(base: StableDiffusionXLPipeline) -> dict[str, torch.nn.Parameter]:
    """Put a fresh, trainable LoRA on the base's UNet; its weights by name."""
    torch.manual_seed(_SEED)
    base.unet.requires_grad_(False)
    base.unet.set_attn_processor(AttnProcessor())
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_TARGETS, init_lora_weights="gaussian")
    base.unet.add_adapter(config, adapter_name=_ADAPTER)
    found = {name: weight for name, weight in base.unet.named_parameters() if ".lora_" in name}
    for weight in found.values():
        weight.requires_grad_(True)
    return found


@torch.no_grad()
def encode_both(pipeline: StableDiffusionXLPipeline, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """What both text encoders say: (count, 77, width) and pooled (count, 64). Half of the empty are zeros."""
    first, second = tokenize((pipeline.tokenizer, pipeline.tokenizer_2), texts)
    one = pipeline.text_encoder(first, output_hidden_states=True)
    two = pipeline.text_encoder_2(second, output_hidden_states=True)
    kept = torch.tensor([float(bool(text) or index % 2) for index, text in enumerate(texts)])
    context = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], dim=-1)
    return context * kept.view(-1, 1, 1), two.text_embeds * kept.view(-1, 1)


def train_lora(
    work: Path,
    base: StableDiffusionXLPipeline,
    style: str,
    minutes: float,
    steps: int | None = None,
    batch: int = BATCH,
    peak: float = 2e-3,
    warm_up: int = 40,
    log: Callable[[str], None] = print,
) -> dict[str, torch.Tensor]:
    """Train until `minutes` or `steps` are used up, keeping `work`/lora-STYLE.pt up to date.

    `base` has the LoRA on its UNet afterwards. Gives back the averaged weights, by their name in the UNet.
    """
    named = add_lora(base)
    torch.manual_seed(_SEED)
    training = Training(
        state_file(work, style),
        {"weights": _Weights(named)},
        named.values(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=warm_up,
        decay=0.995,
        weight_decay=1e-3,
    )
    bank = LatentBank(work, f"latents-{style}")
    if not len(bank):
        raise FileNotFoundError(f"no latents in {work / f'latents-{style}'}: make them first (style_bank)")
    log(
        f"{len(bank)} latents, {sum(weight.numel() for weight in named.values()) / 1e6:.3f} M LoRA parameters"
    )
    unet, snr = base.unet.to(memory_format=torch.channels_last), signal_to_noise()

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = random.Random(_SEED * 1_000_003 + step)
        drawn = bank.batch(rng, batch, square_share=0.8)
        context, pooled = encode_both(base, captions_for(drawn.attributes, STYLES[style].trigger, rng))
        ids = time_ids(drawn.width, drawn.height, batch)
        return noise_loss(unet, drawn.latents, context, pooled, ids, snr), {}

    training.run(loss_of, after=lambda step: None if step % 100 else bank.refresh(), log_every=25)
    return {name: weight.detach().clone() for name, weight in named.items()}


class _Weights:
    """Some of a model's parameters, by name, as a part of a training's file."""

    def __init__(self, named: dict[str, torch.nn.Parameter]) -> None:
        self._named = named

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {name: weight.detach() for name, weight in self._named.items()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, torch.Tensor], /) -> None:
        for name, weight in self._named.items():
            weight.copy_(state[name])


def load_lora(work: Path, style: str) -> tuple[dict[str, torch.Tensor], int]:
    """The averaged weights of a style's LoRA by their name in the UNet, and the steps trained so far."""
    path = state_file(work, style)
    state = load_state(path)
    if state is None:
        raise FileNotFoundError(f"{path} is not there: train the LoRA first")
    return dict(zip(state["weights"], state["average"], strict=True)), state["step"]
