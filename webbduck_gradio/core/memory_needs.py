"""How much memory a size needs, and what is done where that is not there: arithmetic alone.

The numbers are those of the widest tensors; not yet measured on a card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cards import GIB

VAE_PIXELS = 8
"""Pixels of a latent's side."""

MARGIN = 1.25
"""What a decode may take beyond the estimate: workspaces, fragments."""

WHOLE_ON_ROCM = 768
"""Pixels of the longer side up to which ROCm decodes in one piece."""

MAX_SCORES = 4 * GIB
"""Bytes of one buffer of Metal; a larger one ends the process."""


def decoding_bytes(
    size: tuple[int, int], channels: Sequence[int], itemsize: int, keeps_scores: bool = False
) -> int:
    """Bytes that decoding a picture in one piece takes beside the weights.

    `size`: width and height in pixels. `channels`: the VAE's, from the picture inwards
    (`block_out_channels`). `itemsize`: bytes of a number. `keeps_scores`: whether the device holds the scores
    of the middle's attention, which others never have in one place.
    """
    width, height = size
    # In the last block about four tensors of the picture's size are alive, as wide as what comes into it.
    widest = 4 * channels[min(1, len(channels) - 1)] * width * height * itemsize
    tokens = (width // VAE_PIXELS) * (height // VAE_PIXELS)
    return max(widest, 2 * tokens**2 * itemsize) if keeps_scores else widest


def needs_tiles(kind: str, size: tuple[int, int], channels: Sequence[int], itemsize: int, free: int) -> bool:
    """Whether a picture must be decoded in tiles. `kind`: the card's; `free`: bytes that are free."""
    if kind == "rocm" and max(size) > WHOLE_ON_ROCM:
        return True
    return decoding_bytes(size, channels, itemsize, kind in ("rocm", "mps")) * MARGIN > free


def attention_slice(tokens: int, heads: int, batch: int, itemsize: int) -> int | None:
    """Heads whose scores are computed at a time in the largest self-attention; None: all.

    `tokens`: positions that attend to each other; `batch`: pictures in one evaluation.
    """
    scores = tokens**2 * itemsize
    if batch * heads * scores <= MAX_SCORES:
        return None
    return min(heads, max(1, MAX_SCORES // scores))


def slice_attention(unet: Any, size: tuple[int, int], batch: int) -> None:
    """Compute the attention of a UNet in slices where the scores of this size would pass Metal's buffer, else
    in one piece. `size`: width and height in pixels."""
    config = unet.config
    kinds, heads = config.down_block_types, config.num_attention_heads or config.attention_head_dim
    first = next(number for number, kind in enumerate(kinds) if "CrossAttn" in kind)
    shrunk = VAE_PIXELS * 2**first
    heads_at_once = attention_slice(
        (size[0] // shrunk) * (size[1] // shrunk),
        heads if isinstance(heads, int) else heads[first],
        batch,
        unet.dtype.itemsize,
    )
    unet.set_attention_slice(heads_at_once)
