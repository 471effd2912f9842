"""The memory policies: what each does to the parts of a checkpoint. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNetPlace = Literal["card", "batch", "blocks", "layers"]
EncoderPlace = Literal["card", "prompt", "cpu"]


@dataclass(frozen=True)
class MemoryPolicy:
    """How memory of the device is saved. All but "fp8" give the same composition."""

    name: str
    about: str
    """What it does, for people: a sentence without its subject."""
    unet: UNetPlace = "card"
    """Where the UNet's weights are. "card": on the device, always; "batch": while the images of a job are
    drawn; "blocks" and "layers": in main memory, from where each block, or layer, is copied while the one
    before it computes."""
    encoders: EncoderPlace = "card"
    """Where the text encoders are. "card": on the device, always; "prompt": while a prompt is encoded; "cpu":
    the processor computes them."""
    tiled: bool = False
    """Whether the VAE works on tiles where the image's size does not fit in one piece."""
    is_fp8: bool = False
    """Whether the UNet's weights are stored in 8 bits and widened layer by layer, which changes images."""

    @property
    def offloads(self) -> bool:
        """Whether idle parts are in main memory."""
        return self.unet != "card"


RESIDENT = MemoryPolicy("resident", "keeps the models on the device")
TILED = MemoryPolicy("tiled", "decodes in tiles where the size does not fit otherwise", tiled=True)
OFFLOAD = MemoryPolicy(
    "offload", "also keeps the idle parts of a model in main memory", "batch", "prompt", tiled=True
)
FP8 = MemoryPolicy(
    "fp8",
    "also stores the UNet in 8 bits, which changes images",
    "batch",
    "prompt",
    tiled=True,
    is_fp8=True,
)
GROUP_OFFLOAD = MemoryPolicy(
    "group-offload", "copies the UNet block by block while it computes", "blocks", "prompt", tiled=True
)
LEAF_OFFLOAD = MemoryPolicy(
    "leaf-offload",
    "copies the UNet layer by layer; the processor encodes prompts",
    "layers",
    "cpu",
    tiled=True,
)
POLICIES = (RESIDENT, TILED, OFFLOAD, FP8, GROUP_OFFLOAD, LEAF_OFFLOAD)
"""From the fastest to the one that takes least memory."""

AUTOMATIC = tuple(policy for policy in POLICIES if not policy.is_fp8)
"""Those that are chosen without being asked for: they do not change what is drawn beyond roundings."""


def policy_named(name: object) -> MemoryPolicy | None:
    return next((each for each in POLICIES if each.name == name), None)
