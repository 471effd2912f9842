"""Configurations of the starter's SDXL parts, and their text encoders.

The classes and structure are SDXL's (three UNet levels, concatenated penultimate hidden states of two text
encoders, pooled projection of the second one with size conditioning), only with smaller widths.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..captions.captions import caption, full_caption
from ..drawing.scenes import NATIVE_SIZE, sample

TOKENS = 77
VOCABULARY = 49_408
LATENT_SCALE = 8
"""Pixels per latent pixel in each dimension."""

TEXT_WIDTHS = (32, 48)
POOLED_WIDTH = 64
TIME_ID_WIDTH = 32

UNET_CONFIG: dict[str, Any] = {
    "sample_size": NATIVE_SIZE // LATENT_SCALE,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [64, 96, 128],
    "layers_per_block": 1,
    "transformer_layers_per_block": [1, 1, 1],
    "attention_head_dim": [2, 3, 4],
    "cross_attention_dim": sum(TEXT_WIDTHS),
    "use_linear_projection": True,
    "norm_num_groups": 16,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": TIME_ID_WIDTH,
    "projection_class_embeddings_input_dim": POOLED_WIDTH + 6 * TIME_ID_WIDTH,
}

SCHEDULER_CONFIG: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "interpolation_type": "linear",
    "use_karras_sigmas": False,
}


def text_config(which: int, vocabulary: int = VOCABULARY, end: int = 49_407) -> CLIPTextConfig:
    """The first (0) or second (1) text encoder; `end` is the id of the end-of-text token."""
    width = TEXT_WIDTHS[which]
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=3,
        num_attention_heads=(2, 4)[which],
        hidden_act=("quick_gelu", "gelu")[which],
        projection_dim=POOLED_WIDTH,
        max_position_embeddings=TOKENS,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )


def make_unet(config: dict[str, Any] | None = None) -> UNet2DConditionModel:
    """A new UNet with basic attention, which trains fastest on a CPU."""
    unet = UNet2DConditionModel(**(config or UNET_CONFIG))
    unet.set_attn_processor(AttnProcessor())
    return unet


def make_scheduler() -> EulerDiscreteScheduler:
    """SDXL's noise schedule."""
    return EulerDiscreteScheduler(**SCHEDULER_CONFIG)


def load_tokenizers(folder: Path) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """The two tokenizers of a checkpoint folder. Both must have CLIP's full vocabulary."""
    pair = (
        CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        CLIPTokenizer.from_pretrained(folder / "tokenizer_2", local_files_only=True),
    )
    for tokenizer in pair:
        # transformers silently loads a folder without vocabulary files as a tokenizer with two tokens.
        if len(tokenizer) != VOCABULARY:
            raise ValueError(f"{folder} has a tokenizer of {len(tokenizer)} tokens; CLIP's has {VOCABULARY}")
    return pair


@dataclass
class CompactVocabulary:
    """The few hundred tokens used in captions: row r of the compact embedding is token `ids[r]`.

    Training all 49,408 rows, most of them unused, would only cost time and memory. Unknown tokens share row
    `len(ids)`, which stays zero.
    """

    ids: list[int]

    def __post_init__(self) -> None:
        self._row = torch.full((VOCABULARY,), len(self.ids), dtype=torch.long)
        self._row[torch.tensor(self.ids)] = torch.arange(len(self.ids))

    @classmethod
    def of_captions(cls, tokenizer: CLIPTokenizer, captions: int = 12_000) -> CompactVocabulary:
        """All tokens in a large sample of captions, sorted by CLIP id; the last is end-of-text."""
        rng = random.Random(5)
        seen = {0, 49_406, 49_407}
        texts = {caption(sample(rng), rng) for _ in range(captions)}
        texts |= {full_caption(sample(rng), rng) for _ in range(captions // 10)}
        for ids in tokenizer(sorted(texts))["input_ids"]:
            seen.update(ids)
        return cls(sorted(seen))

    @property
    def size(self) -> int:
        """Number of rows, including the one for unknown tokens."""
        return len(self.ids) + 1

    @property
    def end(self) -> int:
        """Row of the end-of-text token."""
        return self.ids.index(49_407)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """CLIP ids (any shape) -> rows."""
        return self._row[ids]


class TextSide(nn.Module):
    """Both text encoders over a compact vocabulary, with the outputs that SDXL's UNet is conditioned on."""

    def __init__(self, vocabulary: CompactVocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        configs = [text_config(which, vocabulary.size, vocabulary.end) for which in (0, 1)]
        for config in configs:
            config._attn_implementation = "eager"
        self.first = CLIPTextModel(configs[0])
        self.second = CLIPTextModelWithProjection(configs[1])

    def forward(
        self, first_rows: torch.Tensor, second_rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows (batch, 77), padded as by each tokenizer -> (batch, 77, 80) embeddings, (batch, 64) pooled."""
        first = self.first(first_rows, output_hidden_states=True)
        second = self.second(second_rows, output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds

    def full_encoders(self) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
        """The encoders with CLIP's full vocabulary; rows of unused tokens are zero."""
        result = []
        for which, small in enumerate((self.first, self.second)):
            full = (CLIPTextModel, CLIPTextModelWithProjection)[which](text_config(which))
            weights = small.state_dict()
            key = next(name for name in weights if name.endswith("token_embedding.weight"))
            table = torch.zeros(VOCABULARY, TEXT_WIDTHS[which])
            table[torch.tensor(self.vocabulary.ids)] = weights[key][:-1].float()
            full.load_state_dict({**weights, key: table})
            result.append(full.eval())
        return result[0], result[1]


def tokenize(
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer], texts: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """CLIP ids (batch, 77) from each tokenizer, truncated and padded as in the pipeline."""
    first, second = (
        tokenizer(
            texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        for tokenizer in tokenizers
    )
    return first, second


def time_ids(width: int, height: int, count: int) -> torch.Tensor:
    """SDXL's size conditioning (count, 6): original size, crop offset and target size, heights first."""
    return torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32).repeat(count, 1)
