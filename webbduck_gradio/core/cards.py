"""What is known of the device, and the precisions that follow from it.

By reading of what is documented and reported for these cards; not yet measured on one.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import Any

import psutil
import torch

GIB = 2**30

NAN_IN_FLOAT16 = re.compile(
    r"\b(GTX 16[356]0|MX ?[45]50|CMP 30HX|Quadro T[12]\d00|T(400|500|550|600|1000|1200|2000))\b",
    re.IGNORECASE,
)
"""Turing cards without tensor cores, on which UNets of Stable Diffusion give NaN in float16."""

ROOMY = 16 * GIB
"""Memory of a card from which SDXL fits in float32: 14 GB of weights."""

_ROCM_BFLOAT16 = ("gfx908", "gfx90a", "gfx94", "gfx95")
"""CDNA cards that multiply bfloat16 in hardware; of the others those from RDNA 3 (gfx11) on do."""


@dataclass(frozen=True)
class Card:
    """A device: a graphics card, or the processor."""

    kind: str
    """"cpu", "cuda" (NVIDIA), "rocm" (AMD), "mps" (Apple), "xpu" (Intel)."""
    name: str = ""
    capability: tuple[int, int] | None = None
    """NVIDIA's compute capability; Turing is 7.5."""
    has_bfloat16: bool = False
    """Whether bfloat16 is multiplied in hardware, with a known gain."""
    total: int = 0
    """Bytes of its memory."""

    @property
    def gives_nan_in_float16(self) -> bool:
        return self.kind == "cuda" and bool(NAN_IN_FLOAT16.search(self.name))

    @property
    def is_slow_in_float16(self) -> bool:
        """NVIDIA cards before Volta; all but the P100 (6.0) multiply float16 at 1/64 of float32's rate."""
        return (
            self.kind == "cuda"
            and self.capability is not None
            and self.capability < (7, 0)
            and self.capability != (6, 0)
        )


def card_of(device: str) -> Card:
    """Facts about an available device."""
    kind = torch.device(device).type
    if kind == "cuda":
        return _nvidia_or_amd(device)
    if kind == "xpu":
        found: Any = torch.xpu.get_device_properties(device)
        return Card("xpu", found.name, None, True, found.total_memory)
    total = psutil.virtual_memory().total
    if kind == "mps":
        # bfloat16 depends on the version of macOS and of torch; float16 always works.
        return Card("mps", "Apple GPU", None, False, total)
    return Card(kind, platform.processor() or "CPU", None, has_bfloat16(), total)


def _nvidia_or_amd(device: str) -> Card:
    found: Any = torch.cuda.get_device_properties(device)
    capability = (found.major, found.minor)
    if torch.version.hip:
        architecture = str(getattr(found, "gcnArchName", ""))
        has = found.major >= 11 or architecture.startswith(_ROCM_BFLOAT16)
        return Card("rocm", found.name, capability, has, found.total_memory)
    # `torch.cuda.is_bf16_supported` asks the current card; hardware has it from Ampere (8.0) on.
    return Card("cuda", found.name, capability, found.major >= 8, found.total_memory)


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 whose gain is known: AVX-512 BF16 or AMX."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def precision_for(card: Card, is_large: bool = False) -> torch.dtype:
    """The precision that models work in: half, except where that is slower or wrong.

    On the CPU float16 is unusably slow. There large models are loaded in bfloat16 if the processor multiplies
    it in hardware: in half the memory, and faster than in float32.
    """
    if card.kind == "cpu":
        return torch.bfloat16 if is_large and card.has_bfloat16 else torch.float32
    if card.gives_nan_in_float16:
        return torch.float32
    # A large model that does not fit in float32 is slower still.
    if card.is_slow_in_float16 and (not is_large or card.total >= ROOMY):
        return torch.float32
    return torch.float16


def precision_note(card: Card) -> str | None:
    """Why large models work in float32 on a card, and what that costs, in one sentence; None: they do not."""
    if card.kind == "cpu" or precision_for(card, is_large=True) != torch.float32:
        return None
    why = "gives NaN" if card.gives_nan_in_float16 else "is slow"
    return (
        f"float16 {why} on {card.name}, so models work in float32 and take twice the memory (SDXL: 14 GB); "
        "--precision chooses another one."
    )


def decoding_precisions(card: Card, stored: torch.dtype, force_upcast: bool) -> tuple[torch.dtype, ...]:
    """The precisions to decode in, in the order in which they are tried, until the pixels are finite.

    `stored`: the precision of the VAE's weights. `force_upcast`: whether its config says that it overflows in
    float16. On a card that is tried nevertheless, as it is said of all single files, and float32 takes twice
    the memory.
    """
    if stored == torch.float32 or (card.kind == "cpu" and stored == torch.float16 and force_upcast):
        return (torch.float32,)
    if card.kind == "cpu" or stored == torch.bfloat16:
        return (stored, torch.float32)
    return (torch.bfloat16 if card.has_bfloat16 else torch.float16, torch.float32)
