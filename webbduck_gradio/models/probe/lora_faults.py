"""What is wrong with a LoRA's file, told from its header: reasons not to use it, and what of it is left out.

Each text is what follows the file's name in a sentence, without its full stop.
"""

from __future__ import annotations

from collections.abc import Mapping

from .lora_keys import LoraNames, read_names, weighted
from .safetensors_header import Header, Tensor

Faults = tuple[str, tuple[str, ...]]
"""(why it cannot be used, or ""; what is left out)."""

_NUMBERS = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
"""Types that stand for their values by themselves; whole numbers would need a scale."""


def faults(header: Header) -> Faults:
    """Of a file of the kind LoRA or LoCon."""
    names = read_names(header.tensors)
    parts = weighted(names)
    fault = _names_fault(names, parts) or _halves_fault(parts) or _tensors_fault(header, parts)
    caveats = []
    if names.embeddings:
        several = len(names.embeddings) > 1
        caveats.append(
            f"holds the embedding{'s' * several} {_some(names.embeddings)} as well, which "
            f"{'are' if several else 'is'} left out; the words that call {'them' if several else 'it'} have "
            "no effect"
        )
    lone = [module for module in names.modules if module not in parts]
    if lone:
        caveats.append(f"has an alpha but no weights for {_some(lone)}, which has no effect")
    if names.unknown:
        caveats.append(f"holds tensors that are no LoRA's ({_some(names.unknown)}), which are left out")
    return fault, tuple(caveats)


def _names_fault(names: LoraNames, parts: Mapping[str, Mapping[str, str]]) -> str:
    if not parts:
        return "holds no weights of a LoRA"
    if names.twice:
        return (
            f"holds {_shown(names.twice[0])} beside another tensor for the same place, so it is not clear "
            "which counts; choose a file with one adapter"
        )
    for name in names.unknown:
        # What belongs to a part of the LoRA changes what that part means.
        ends = [place for place, letter in enumerate(name) if letter == "."]
        if any(name[:end] in parts for end in ends):
            return f"holds {_shown(name)}, of a kind that is not known here; choose a plain LoRA or LoCon"
    return ""


def _halves_fault(parts: Mapping[str, Mapping[str, str]]) -> str:
    for half, other in (("up", "down"), ("down", "up")):
        alone = [roles[other] for roles in parts.values() if half not in roles]
        if alone:
            return f"is incomplete: the other half of {_some(alone)} is missing; get it again"
    return ""


def _tensors_fault(header: Header, parts: Mapping[str, Mapping[str, str]]) -> str:
    for module, roles in parts.items():
        down, up = header.tensors[roles["down"]], header.tensors[roles["up"]]
        for tensor in (down, up):
            if tensor.dtype not in _NUMBERS:
                return (
                    f"holds weights of the type {tensor.dtype}, which do not tell their values; get it as F16"
                )
        if not _fit(down, up):
            return (
                f"is damaged: the halves of {_shown(module)} do not fit each other ({_sides(down)} and "
                f"{_sides(up)}); get it again"
            )
        if "alpha" in roles and any(side != 1 for side in header.tensors[roles["alpha"]].shape):
            return f"is damaged: {_shown(roles['alpha'])} is not one number; get it again"
    return ""


def _fit(down: Tensor, up: Tensor) -> bool:
    """(rank, in, ...) and (out, rank), both with nothing or with a kernel behind."""
    plain = len(down.shape) >= 2 and len(up.shape) >= 2 and 0 not in (*down.shape, *up.shape)
    return plain and down.shape[0] == up.shape[1] and all(side == 1 for side in up.shape[2:])


def _sides(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _some(names: list[str] | tuple[str, ...]) -> str:
    """The first name, and how many more there are."""
    more = len(names) - 1
    return _shown(names[0]) + (f" and {more} more" if more else "")


def _shown(name: str) -> str:
    """A name out of a file, short and without anything that could disturb a sentence."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= 100 else text[:60] + "..." + text[-37:]
