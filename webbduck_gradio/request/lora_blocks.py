"""Weights of a LoRA by blocks of the UNet: presets, and the lists of numbers of AUTOMATIC1111's extension
LoRA Block Weight (hako-mikan).

Blocks have the names of the original UNet: IN00 is its first convolution, IN01 ... the layers on the way
down, M00 the middle, OUT00 ... those on the way up; BASE is the text encoders. What lies in no block (time
embedding, last convolution) keeps the full weight, as in the extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["BASE", "IN", "M", "OUT"]
Blocks = str | tuple[float, ...]
"""The name of a preset, or numbers in the order of one of `LISTS`."""


@dataclass(frozen=True)
class Block:
    side: Side
    number: int = 0
    is_deep: bool = False
    """Whether it is at the UNet's lowest resolution."""

    @property
    def name(self) -> str:
        return self.side if self.side == "BASE" else f"{self.side}{self.number:02}"


BASE = Block("BASE")


def _names(inputs: str, outputs: range) -> tuple[str, ...]:
    numbers = (int(number) for number in inputs.split())
    return ("BASE", *(f"IN{n:02}" for n in numbers), "M00", *(f"OUT{n:02}" for n in outputs))


LISTS = {
    len(names): names
    for names in (
        _names("4 5 7 8", range(6)),
        _names("1 2 4 5 7 8", range(3, 12)),
        _names("0 1 2 3 4 5 6 7 8", range(9)),
        _names("0 1 2 3 4 5 6 7 8 9 10 11", range(12)),
    )
}
"""Number of weights in a list -> the blocks that they are for; all others have a weight of 0. 12 are the
blocks of SDXL that have attention, 20 all of SDXL; 17 and 26 are the same of Stable Diffusion 1."""

SDXL = tuple(
    BASE if name == "BASE" else Block("M", 0, True) if name == "M00"
    else Block("IN", int(name[2:]), int(name[2:]) > 6) if name.startswith("IN")
    else Block("OUT", int(name[3:]), int(name[3:]) < 3)
    for name in LISTS[20]
)  # fmt: skip
"""All blocks of an SDXL checkpoint, in the order of a list of 20."""

PRESETS: dict[str, tuple[str, ...]] = {
    "ALL": ("IN", "IN deep", "M", "OUT deep", "OUT"),
    "NONE": (),
    "INS": ("IN",),
    "IND": ("IN deep",),
    "INALL": ("IN", "IN deep"),
    "MIDD": ("IN deep", "M", "OUT deep"),
    "OUTD": ("OUT deep",),
    "OUTS": ("OUT",),
    "OUTALL": ("OUT deep", "OUT"),
    "ALL0.5": (),
}
"""Name -> which parts of the UNet have the full weight; the others have none. The text encoders have it,
too, but for NONE."""
LEAST, MOST = -2.0, 2.0
WANTED = (
    f"must be one of {', '.join(PRESETS)}, or a list of "
    f"{', '.join(map(str, list(LISTS)[:-1]))} or {list(LISTS)[-1]} numbers from {LEAST:g} to {MOST:g}"
)


def parsed(value: object) -> Blocks:
    """Blocks from a preset's name in any case, numbers, or numbers as text with commas. Raises `ValueError`
    whose text is a clause."""
    if isinstance(value, str):
        name = value.strip().upper()
        if name in PRESETS:
            return name
        if "," not in value or len(value) > 1000:
            raise ValueError(WANTED)
        value = value.split(",")
    if not isinstance(value, list | tuple) or len(value) not in LISTS:
        raise ValueError(WANTED)
    if any(isinstance(each, bool) or not isinstance(each, int | float | str) for each in value):
        raise ValueError(WANTED)
    try:
        numbers = tuple(float(each) for each in value)
    except (ValueError, OverflowError):
        raise ValueError(WANTED) from None
    if not all(LEAST <= each <= MOST for each in numbers):
        raise ValueError(WANTED)
    return numbers


def factor(blocks: Blocks | None, block: Block | None) -> float:
    """What the LoRA's weight is multiplied by in a block. None: no weights by blocks; no block."""
    if blocks is None or block is None:
        return 1.0
    if not isinstance(blocks, str):
        names = LISTS[len(blocks)]
        return blocks[names.index(block.name)] if block.name in names else 0.0
    if blocks == "ALL0.5":
        return 0.5
    if block.side == "BASE":
        return float(blocks != "NONE")
    part = block.side + (" deep" if block.is_deep and block.side != "M" else "")
    return float(part in PRESETS[blocks])


def as_numbers(blocks: Blocks) -> tuple[float, ...]:
    """A list as the extension reads it."""
    return tuple(factor(blocks, block) for block in SDXL) if isinstance(blocks, str) else tuple(blocks)
