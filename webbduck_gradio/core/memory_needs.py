"""How much memory an order needs under each policy, and what is done where that is not there: arithmetic.

The numbers are those of SDXL's tensors, counted in a forward without values
(`tests/core/test_placement.py` counts them anew); what a card's libraries take beside them is an estimate,
not yet measured on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .cards import GIB
from .memory_policies import AUTOMATIC, RESIDENT, TILED, MemoryPolicy

VAE_PIXELS = 8
"""Pixels of a latent's side."""

TILE = 512
"""Pixels of a side of the VAE's tiles."""

UNET_VALUES = 80
"""Numbers alive at once in SDXL's UNet, per pixel and row of its batch."""

SAMPLING_MARGIN = 1.5
"""What a forward of the UNet may take beyond its tensors: workspaces of convolutions, fragments."""

MARGIN = 1.25
"""The same of decoding."""

LIBRARIES = GIB // 4
"""Bytes that stay free for workspaces of cuBLAS and cuDNN and for what other programs take meanwhile."""

ENCODING = GIB // 8
"""Bytes that encoding a prompt takes beside the weights."""

WHOLE_ON_ROCM = 768
"""Pixels of the longer side up to which ROCm decodes in one piece."""

MAX_SCORES = 4 * GIB
"""Bytes of one buffer of Metal; a larger one ends the process."""

UNET_ON_CARD = {"card": 1.0, "batch": 1.0, "blocks": 0.22, "layers": 0.04}
"""Share of the UNet's weights on the card while it computes, by `MemoryPolicy.unet`. "blocks": all but the
transformers' blocks, and three of those; "layers": three of the largest."""

FP8_SHARE = 0.52
"""Bytes of a UNet whose layers are stored in 8 bits, beside half precision."""

SDXL_VAE = (128, 256, 512, 512)


@dataclass(frozen=True)
class Weights:
    """Bytes of a checkpoint's parts."""

    unet: int
    encoders: int
    vae: int

    @classmethod
    def of_total(cls, total: int) -> Weights:
        """The parts of a checkpoint of `total` bytes; they are alike in SDXL and its refiner."""
        return cls(int(total * 0.745), int(total * 0.236), int(total * 0.025))


@dataclass(frozen=True)
class Order:
    """What is drawn."""

    size: tuple[int, int] = (1024, 1024)
    """Width and height in pixels."""
    rows: int = 2
    """Rows of the UNet's batch: with guidance two for each image that is drawn together."""
    itemsize: int = 2
    """Bytes of a number of the UNet."""
    decoding_itemsize: int = 2
    """Bytes of a number in the VAE."""


def decoding_bytes(
    size: tuple[int, int], channels: Sequence[int], itemsize: int, keeps_scores: bool = False
) -> int:
    """Bytes that decoding a picture in one piece takes beside the weights.

    `size`: width and height in pixels. `channels`: the VAE's, from the picture inwards
    (`block_out_channels`). `itemsize`: bytes of a number. `keeps_scores`: whether the device holds the scores
    of the middle's attention, which others never have in one place.
    """
    width, height = size
    # In the last block three tensors of the picture's size are alive, as wide as what comes into it.
    widest = 3 * channels[min(1, len(channels) - 1)] * width * height * itemsize
    tokens = (width // VAE_PIXELS) * (height // VAE_PIXELS)
    return max(widest, 2 * tokens**2 * itemsize) if keeps_scores else widest


def sampling_bytes(size: tuple[int, int], rows: int, itemsize: int) -> int:
    """Bytes that a forward of the UNet takes beside the weights. `rows`: of its batch."""
    return int(UNET_VALUES * size[0] * size[1] * rows * itemsize * SAMPLING_MARGIN)


def rows_that_fit(size: tuple[int, int], itemsize: int, free: int) -> int:
    """Rows of the UNet's batch for which `free` bytes are enough."""
    return max(0, free - LIBRARIES) // sampling_bytes(size, 1, itemsize)


def peak(policy: MemoryPolicy, weights: Weights, order: Order, kind: str = "cuda") -> int:
    """Bytes of the card's memory that are in use at most. `weights`: as they are loaded. `kind`: the
    card's."""
    always = weights.vae
    unet = int(weights.unet * (FP8_SHARE if policy.is_fp8 else UNET_ON_CARD[policy.unet]))
    encoders = 0 if policy.encoders == "cpu" else weights.encoders
    idle_unet = unet if policy.unet == "card" else 0
    idle_encoders = encoders if policy.encoders == "card" else 0
    tile = (min(order.size[0], TILE), min(order.size[1], TILE))
    decoded = decoding_bytes(
        tile if policy.tiled else order.size, SDXL_VAE, order.decoding_itemsize, kind in ("rocm", "mps")
    )
    phases = (
        idle_unet + encoders + (ENCODING if encoders else 0),
        unet + idle_encoders + sampling_bytes(order.size, order.rows, order.itemsize),
        idle_unet + idle_encoders + int(decoded * MARGIN),
    )
    return always + max(phases) + LIBRARIES


def policy_for(weights: Weights, order: Order, free: int, kind: str) -> MemoryPolicy:
    """The fastest policy that the order fits with; the last one if it fits with none.

    `free`: bytes that the models and the order may take together. `kind`: the card's. The CPU and Apple's
    GPUs have no other memory to move anything to; on ROCm large pictures are decoded in tiles in any case.
    """
    if kind == "cpu":
        return RESIDENT
    if kind == "mps":
        return TILED
    policies = [policy for policy in AUTOMATIC if policy.tiled or kind != "rocm"]
    return next((each for each in policies if peak(each, weights, order, kind) <= free), policies[-1])


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
