"""Prompt embeddings: weights, long prompts, both text encoders.

An unweighted prompt of at most 75 tokens gives exactly what diffusers' own `encode_prompt` gives. Longer ones
are encoded in chunks of 75 tokens whose embeddings are concatenated, as AUTOMATIC1111 does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..models.probe.embedding import FIRST, SECOND
from ..models.prompt_schedule import PromptSchedule, Texts
from ..models.tokens import CHUNK, END, START, Chunk, Names, chunks, common_length
from .embedding_vectors import put_in

TOKENS = CHUNK + 2
"""Tokens of a chunk with its start and end tokens."""
PAD_2 = 0
"""Padding token of the second encoder; the first pads with the end token."""


@dataclass(frozen=True)
class Embeddings:
    """`prompt`: (n, chunks * 77, widths of the encoders together), n being the number of prompts that AND
    joins; `negative`: the same of one; `pooled`, `negative_pooled`: (n and 1, width of encoder 2)."""

    prompt: torch.Tensor
    negative: torch.Tensor
    pooled: torch.Tensor
    negative_pooled: torch.Tensor
    weights: tuple[float, ...] = (1.0,)
    """Of the prompts that AND joins."""

    def at(self, evaluation: int) -> Embeddings:
        """As `ScheduledEmbeddings.at`."""
        return self

    def arguments(self) -> dict[str, torch.Tensor]:
        """As keyword arguments of diffusers' pipelines."""
        return {
            "prompt_embeds": self.prompt,
            "negative_prompt_embeds": self.negative,
            "pooled_prompt_embeds": self.pooled,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }


class ScheduledEmbeddings:
    """Embeddings that change from step to step. What the encoders made of each chunk is kept, and put
    together when its turn comes: all texts repeated to common lengths would take much memory."""

    def __init__(self, encoded: EncodedChunks, schedule: PromptSchedule):
        """`encoded`: of all texts of the schedule."""
        self.weights = schedule.weights
        self._encoded, self._texts, self._ends = encoded, schedule.texts, schedule.ends
        self._latest: tuple[Texts, Embeddings] | None = None

    def at(self, evaluation: int) -> Embeddings:
        """`evaluation`: how many the pass has had. AUTOMATIC1111 counts them from 0 but the schedule from 1,
        so that the first text holds for one more than is written. Until the text changes, the answer is the
        same object."""
        texts = self._texts[bisect_left(self._ends, evaluation)]
        if self._latest is None or self._latest[0] != texts:
            self._latest = texts, self._encoded.embeddings(texts, self.weights)
        return self._latest[1]


@torch.no_grad()
def encode_schedule(
    pipe: Any,
    schedule: PromptSchedule,
    clip_skip: int = 0,
    emphasis: str = "mean",
    index: Names | None = None,
) -> ScheduledEmbeddings:
    """As `encode`, for all texts of a schedule; each is encoded once."""
    encoded = EncodedChunks(pipe, clip_skip, emphasis, index)
    for texts in dict.fromkeys(schedule.texts):
        encoded.embeddings(texts)  # which reads all that it is made of
    encoded.finish()
    return ScheduledEmbeddings(encoded, schedule)


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
    """Embeddings of texts that do not change, for `pipe`'s text encoders. `clip_skip`: layers skipped at the
    end. `emphasis`: 'mean' restores the mean of weighted embeddings, 'none' does not. `index`: the textual
    inversion embeddings that the prompts can name, which fit the encoders. Raises `ModelError` for one that
    cannot be read.

    Prompts and negative prompt keep their own lengths, as in AUTOMATIC1111: if they differ, all are repeated
    up to a common length, which does not change what the UNet attends to. `prompt` and `prompt_2`, whose
    embeddings are concatenated along the width, are padded to the same length with empty chunks.

    An empty negative prompt becomes zeros if the checkpoint was trained that way, as SDXL was
    (`force_zeros_for_empty_prompt`).
    """
    return EncodedChunks(pipe, clip_skip, emphasis, index).embeddings(Texts((prompt,), negative, prompt_2))


class EncodedChunks:
    """What a checkpoint's text encoders made of each chunk so far. `clip_skip`, `emphasis`, `index`: as
    `encode` has them."""

    def __init__(self, pipe: Any, clip_skip: int, emphasis: str, index: Names | None = None):
        self._pipe, self._clip_skip, self._emphasis, self._index = pipe, clip_skip, emphasis, index
        # A refiner has only the second encoder.
        self._encoders = [0, 1] if pipe.text_encoder is not None else [1]
        self._dtype = pipe.text_encoder_2.dtype
        self._has_zeros = pipe.config.get("force_zeros_for_empty_prompt", True)
        self._known: dict[tuple[int, Chunk], tuple[torch.Tensor, torch.Tensor]] = {}

    def finish(self) -> None:
        """Encode no more, and let go of the checkpoint."""
        self._pipe = None

    def embeddings(self, texts: Texts, weights: tuple[float, ...] = (1.0,)) -> Embeddings:
        """`weights`: of the joined prompts."""
        # For a refiner the main prompt matters more than the second one.
        second = texts.second if texts.second.strip() and 0 in self._encoders else None
        both = [(each, each if second is None else second) for each in texts.prompts]
        positives = [(chunks(one, self._index), chunks(other, self._index)) for one, other in both]
        zeros = not texts.negative.strip() and self._has_zeros
        unwanted = (chunks(""),) * 2 if zeros else (chunks(texts.negative, self._index),) * 2
        lengths = {max(map(len, each)) for each in (positives if zeros else [*positives, unwanted])}
        length = common_length(*lengths)
        made = [self._both(each, length) for each in positives]
        embeds, pooled = (torch.cat(each) if len(made) > 1 else each[0] for each in zip(*made, strict=True))
        if zeros:
            nothing = torch.zeros_like(embeds[:1]), torch.zeros_like(pooled[:1])
            return Embeddings(embeds, nothing[0], pooled, nothing[1], weights)
        # diffusers ignores clip_skip for the negative prompt; A1111 applies it to both.
        negative_embeds, negative_pooled = self._both(unwanted, length)
        return Embeddings(embeds, negative_embeds, pooled, negative_pooled, weights)

    def _both(self, prompts: Sequence[Sequence[Chunk]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of both encoders, (1, length * 77, sum of their widths), and the second encoder's pooled
        output for the first chunk."""
        own = max(map(len, prompts))
        rest = length % own
        widths = []
        for number in self._encoders:
            filled = [*prompts[number], *chunks("") * (own - len(prompts[number]) + rest)]
            encoded = [self._chunk(number, chunk) for chunk in filled]
            states, pooled = torch.cat([state for state, _ in encoded], 1), encoded[0][1]
            # Repeating all keys does not change attention: softmax splits each key's share between its
            # copies.
            widths.append(
                torch.cat([*[states[:, : own * TOKENS]] * (length // own), states[:, own * TOKENS :]], 1)
            )
        return torch.cat(widths, dim=-1).to(self._dtype), pooled

    def _chunk(self, number: int, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
        """Its states (1, 77, width) and pooled output, by the first encoder (0) or the second (1)."""
        found = self._known.get((number, chunk))
        if found is None:
            encoder = (self._pipe.text_encoder, self._pipe.text_encoder_2)[number]
            pad, free = (END, PAD_2)[number], CHUNK - len(chunk.ids)
            ids = torch.tensor([[START, *chunk.ids, END, *[pad] * free]], device=encoder.device)
            with put_in(encoder, chunk, (FIRST, SECOND)[number]):
                output = encoder(ids, output_hidden_states=True)
            state = output.hidden_states[-(self._clip_skip + 2)]
            if any(weight != 1 for weight in chunk.weights):
                weights = torch.tensor([1.0, *chunk.weights, 1.0, *[1.0] * free])
                state = _weighted(state, weights, self._emphasis)
            found = self._known[number, chunk] = state, output[0]
        return found


def _weighted(state: torch.Tensor, weights: torch.Tensor, emphasis: str) -> torch.Tensor:
    """Each token's vector times its weight, with the mean of all values restored, as in AUTOMATIC1111."""
    exact = state.float()
    scaled = exact * weights.to(state.device)[None, :, None]
    if emphasis == "none":
        return scaled.to(state.dtype)
    mean = scaled.mean()
    # A mean of zero cannot be restored.
    return (scaled * (exact.mean() / mean) if mean != 0 else scaled).to(state.dtype)
