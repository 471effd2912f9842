"""Prompts to embeddings: weights, long prompts, both text encoders.

An unweighted prompt of at most 75 tokens gives exactly what diffusers' own `encode_prompt` gives. Longer ones
are read in chunks of 75 that are laid side by side, as AUTOMATIC1111 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..models.tokens import CHUNK, END, START, Chunk, chunks, common_length

TOKENS = CHUNK + 2
"""Places of a chunk, with start and end."""
PAD_2 = 0
"""The second encoder's padding; the first pads with the end token."""


@dataclass(frozen=True)
class Embeddings:
    """`prompt`, `negative`: (1, chunks * 77, width); `pooled`, `negative_pooled`: (1, width of encoder 2)."""

    prompt: torch.Tensor
    negative: torch.Tensor
    pooled: torch.Tensor
    negative_pooled: torch.Tensor

    def arguments(self) -> dict[str, torch.Tensor]:
        """As the pipelines of diffusers name them."""
        return {
            "prompt_embeds": self.prompt,
            "negative_prompt_embeds": self.negative,
            "pooled_prompt_embeds": self.pooled,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }


@torch.no_grad()
def encode(
    pipe: Any, prompt: str, negative: str, prompt_2: str = "", clip_skip: int = 0, emphasis: str = "mean"
) -> Embeddings:
    """Embeddings for `pipe`'s text encoders. `clip_skip`: layers left out at the end. `emphasis` 'none'
    leaves weighted prompts at the mean that their weights give.

    Prompt and negative prompt keep their own lengths, as in AUTOMATIC1111: where these differ, both are
    repeated up to a common one, which changes nothing in what the UNet takes from either. `prompt` and
    `prompt_2`, which stand side by side, fill each other up with empty chunks.

    An empty negative prompt becomes zeros where the checkpoint was trained that way, as SDXL was
    (`force_zeros_for_empty_prompt`).
    """
    # A refiner has the second encoder alone, and the prompt is what the user wants to see in the picture.
    second = prompt_2 if prompt_2.strip() and pipe.text_encoder is not None else prompt
    asked = (chunks(prompt), chunks(second))
    zeros = not negative.strip() and pipe.config.get("force_zeros_for_empty_prompt", True)
    unasked = (chunks(""),) * 2 if zeros else (chunks(negative),) * 2
    sides = [max(map(len, asked)), max(map(len, unasked))]
    length = sides[0] if zeros else common_length(*sides)
    embeds, pooled = _both(pipe, asked, clip_skip, emphasis, length)
    if zeros:
        return Embeddings(embeds, torch.zeros_like(embeds), pooled, torch.zeros_like(pooled))
    # diffusers leaves clip_skip out of the negative prompt; A1111 does not, and the two should match.
    negative_embeds, negative_pooled = _both(pipe, unasked, clip_skip, emphasis, length)
    return Embeddings(embeds, negative_embeds, pooled, negative_pooled)


def _both(
    pipe: Any, prompts: Sequence[Sequence[Chunk]], clip_skip: int, emphasis: str, length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(embeddings of both encoders side by side, as many chunks as `length`; pooled output of the second's
    first chunk)."""
    own = max(map(len, prompts))
    left = length % own
    widths = []
    for encoder, prompt, pad in zip(
        [pipe.text_encoder, pipe.text_encoder_2], prompts, (END, PAD_2), strict=True
    ):
        if encoder is None:  # a refiner has only the second
            continue
        filled = [*prompt, *chunks("") * (own - len(prompt) + left)]
        states, pooled = _encode(encoder, filled, pad, clip_skip, emphasis)
        # Attention to each key twice is attention to each key once: softmax gives either half the share.
        widths.append(
            torch.cat([*[states[:, : own * TOKENS]] * (length // own), states[:, own * TOKENS :]], 1)
        )
    return torch.cat(widths, dim=-1).to(pipe.text_encoder_2.dtype), pooled


def _encode(
    encoder: Any, prompt: Sequence[Chunk], pad: int, clip_skip: int, emphasis: str
) -> tuple[torch.Tensor, torch.Tensor]:
    states, pooled = [], None
    for chunk in prompt:
        free = CHUNK - len(chunk.ids)
        ids = torch.tensor([[START, *chunk.ids, END, *[pad] * free]], device=encoder.device)
        output = encoder(ids, output_hidden_states=True)
        state = output.hidden_states[-(clip_skip + 2)]
        if any(weight != 1 for weight in chunk.weights):
            state = _weighted(state, torch.tensor([1.0, *chunk.weights, 1.0, *[1.0] * free]), emphasis)
        states.append(state)
        pooled = output[0] if pooled is None else pooled
    assert pooled is not None  # a prompt has at least one chunk
    return torch.cat(states, dim=1), pooled


def _weighted(state: torch.Tensor, weights: torch.Tensor, emphasis: str) -> torch.Tensor:
    """Each token's vector times its weight, the whole brought back to its mean (AUTOMATIC1111's way)."""
    exact = state.float()
    scaled = exact * weights.to(state.device)[None, :, None]
    if emphasis == "none":
        return scaled.to(state.dtype)
    mean = scaled.mean()
    # A mean of nothing cannot be brought back; the weights then stand as they are.
    return (scaled * (exact.mean() / mean) if mean != 0 else scaled).to(state.dtype)
