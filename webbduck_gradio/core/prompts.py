"""Prompt embeddings: weights, long prompts, both text encoders.

An unweighted prompt of at most 75 tokens gives exactly what diffusers' own `encode_prompt` gives. Longer ones
are encoded in chunks of 75 tokens whose embeddings are concatenated, as AUTOMATIC1111 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..models.probe.embedding import FIRST, SECOND
from ..models.tokens import CHUNK, END, START, Chunk, Names, chunks, common_length
from .embedding_vectors import put_in

TOKENS = CHUNK + 2
"""Tokens of a chunk with its start and end tokens."""
PAD_2 = 0
"""Padding token of the second encoder; the first pads with the end token."""


@dataclass(frozen=True)
class Embeddings:
    """`prompt`, `negative`: (1, chunks * 77, widths of the encoders together); `pooled`, `negative_pooled`:
    (1, width of encoder 2)."""

    prompt: torch.Tensor
    negative: torch.Tensor
    pooled: torch.Tensor
    negative_pooled: torch.Tensor

    def arguments(self) -> dict[str, torch.Tensor]:
        """As keyword arguments of diffusers' pipelines."""
        return {
            "prompt_embeds": self.prompt,
            "negative_prompt_embeds": self.negative,
            "pooled_prompt_embeds": self.pooled,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }


@torch.no_grad()
def encode(
    pipe: Any,
    prompt: str,
    negative: str,
    prompt_2: str = "",
    clip_skip: int = 0,
    emphasis: str = "mean",
    index: Names | None = None,
) -> Embeddings:
    """Embeddings for `pipe`'s text encoders. `clip_skip`: layers skipped at the end. `emphasis`: 'mean'
    restores the mean of weighted embeddings, 'none' does not. `index`: the textual inversion embeddings that
    the prompts can name, which fit the encoders. Raises `ModelError` for one that cannot be read.

    Prompt and negative prompt keep their own lengths, as in AUTOMATIC1111: if they differ, both are repeated
    up to a common length, which does not change what the UNet attends to. `prompt` and `prompt_2`, whose
    embeddings are concatenated along the width, are padded to the same length with empty chunks.

    An empty negative prompt becomes zeros if the checkpoint was trained that way, as SDXL was
    (`force_zeros_for_empty_prompt`).
    """
    # A refiner has only the second encoder; the main prompt matters more than `prompt_2`.
    second = prompt_2 if prompt_2.strip() and pipe.text_encoder is not None else prompt
    positive = (chunks(prompt, index), chunks(second, index))
    zeros = not negative.strip() and pipe.config.get("force_zeros_for_empty_prompt", True)
    unwanted = (chunks(""),) * 2 if zeros else (chunks(negative, index),) * 2
    lengths = [max(map(len, positive)), max(map(len, unwanted))]
    length = lengths[0] if zeros else common_length(*lengths)
    embeds, pooled = _both(pipe, positive, clip_skip, emphasis, length)
    if zeros:
        return Embeddings(embeds, torch.zeros_like(embeds), pooled, torch.zeros_like(pooled))
    # diffusers ignores clip_skip for the negative prompt; A1111 applies it to both.
    negative_embeds, negative_pooled = _both(pipe, unwanted, clip_skip, emphasis, length)
    return Embeddings(embeds, negative_embeds, pooled, negative_pooled)


def _both(
    pipe: Any, prompts: Sequence[Sequence[Chunk]], clip_skip: int, emphasis: str, length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of both encoders, (1, length * 77, sum of their widths), and the second encoder's pooled
    output for the first chunk."""
    own = max(map(len, prompts))
    rest = length % own
    widths = []
    encoders = [pipe.text_encoder, pipe.text_encoder_2]
    for encoder, prompt, pad, part in zip(encoders, prompts, (END, PAD_2), (FIRST, SECOND), strict=True):
        if encoder is None:  # a refiner has only the second
            continue
        filled = [*prompt, *chunks("") * (own - len(prompt) + rest)]
        states, pooled = _encode(encoder, filled, pad, part, clip_skip, emphasis)
        # Repeating all keys does not change attention: softmax splits each key's share between its copies.
        widths.append(
            torch.cat([*[states[:, : own * TOKENS]] * (length // own), states[:, own * TOKENS :]], 1)
        )
    return torch.cat(widths, dim=-1).to(pipe.text_encoder_2.dtype), pooled


def _encode(
    encoder: Any, prompt: Sequence[Chunk], pad: int, part: str, clip_skip: int, emphasis: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """`part`: the name of the encoder's vectors in an embedding's file."""
    states, pooled = [], None
    for chunk in prompt:
        free = CHUNK - len(chunk.ids)
        ids = torch.tensor([[START, *chunk.ids, END, *[pad] * free]], device=encoder.device)
        with put_in(encoder, chunk, part):
            output = encoder(ids, output_hidden_states=True)
        state = output.hidden_states[-(clip_skip + 2)]
        if any(weight != 1 for weight in chunk.weights):
            state = _weighted(state, torch.tensor([1.0, *chunk.weights, 1.0, *[1.0] * free]), emphasis)
        states.append(state)
        pooled = output[0] if pooled is None else pooled
    assert pooled is not None  # a prompt has at least one chunk
    return torch.cat(states, dim=1), pooled


def _weighted(state: torch.Tensor, weights: torch.Tensor, emphasis: str) -> torch.Tensor:
    """Each token's vector times its weight, with the mean of all values restored, as in AUTOMATIC1111."""
    exact = state.float()
    scaled = exact * weights.to(state.device)[None, :, None]
    if emphasis == "none":
        return scaled.to(state.dtype)
    mean = scaled.mean()
    # A mean of zero cannot be restored.
    return (scaled * (exact.mean() / mean) if mean != 0 else scaled).to(state.dtype)
