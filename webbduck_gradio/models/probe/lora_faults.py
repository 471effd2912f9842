"""Finds faults of a LoRA file from its header: reasons not to use it, and tensors that are ignored.

Each text is a predicate for the file's name, without full stop.
"""

from __future__ import annotations

from collections.abc import Mapping

from .lora_keys import LoraNames, read_names, weighted
from .safetensors_header import Header, Tensor

Faults = tuple[str, tuple[str, ...]]
"""(why it cannot be used, or ""; what is ignored)."""

_FLOAT_TYPES = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
"""Data types usable directly; integers would need a scale."""


def faults(header: Header) -> Faults:
    """Faults of a LoRA or LoCon file."""
    names = read_names(header.tensors)
    parts = weighted(names)
    fault = _names_fault(names, parts) or _pairs_fault(parts) or _tensors_fault(header, parts)
    caveats = []
    if names.embeddings:
        several = len(names.embeddings) > 1
        caveats.append(
            f"also contains the embedding{'s' * several} {_some(names.embeddings)}, which "
            f"{'are' if several else 'is'} ignored; {'their' if several else 'its'} trigger words have no "
            "effect"
        )
    lone = [module for module in names.modules if module not in parts]
    if lone:
        caveats.append(f"has an alpha but no weights for {_some(lone)}, which has no effect")
    if names.unknown:
        caveats.append(
            f"contains tensors that do not belong to a LoRA ({_some(names.unknown)}); they are ignored"
        )
    return fault, tuple(caveats)


def _names_fault(names: LoraNames, parts: Mapping[str, Mapping[str, str]]) -> str:
    if not parts:
        return "contains no LoRA weights"
    if names.twice:
        return (
            f"contains {_shown(names.twice[0])} and another tensor for the same module, so it is ambiguous; "
            "choose a file with one adapter"
        )
    for name in names.unknown:
        # An unknown tensor of a known module may change the meaning of its weights.
        ends = [place for place, letter in enumerate(name) if letter == "."]
        if any(name[:end] in parts for end in ends):
            return f"contains {_shown(name)}, which is of an unknown kind; choose a plain LoRA or LoCon"
    return ""


def _pairs_fault(parts: Mapping[str, Mapping[str, str]]) -> str:
    for half, other in (("up", "down"), ("down", "up")):
        alone = [roles[other] for roles in parts.values() if half not in roles]
        if alone:
            return f"is incomplete: the other half of {_some(alone)} is missing; get it again"
    return ""


def _tensors_fault(header: Header, parts: Mapping[str, Mapping[str, str]]) -> str:
    for module, roles in parts.items():
        down, up = header.tensors[roles["down"]], header.tensors[roles["up"]]
        for tensor in (down, up):
            if tensor.dtype not in _FLOAT_TYPES:
                return f"has weights of the type {tensor.dtype}, which is not supported; get it as F16"
        if not _fit(down, up):
            return (
                f"is damaged: the halves of {_shown(module)} do not fit each other ({_shape_text(down)} and "
                f"{_shape_text(up)}); get it again"
            )
        if "alpha" in roles and any(side != 1 for side in header.tensors[roles["alpha"]].shape):
            return f"is damaged: {_shown(roles['alpha'])} is not one number; get it again"
    return ""


def _fit(down: Tensor, up: Tensor) -> bool:
    """Whether the shapes match: (rank, in, ...) and (out, rank, 1 ...)."""
    plain = len(down.shape) >= 2 and len(up.shape) >= 2 and 0 not in (*down.shape, *up.shape)
    return plain and down.shape[0] == up.shape[1] and all(side == 1 for side in up.shape[2:])


def _shape_text(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _some(names: list[str] | tuple[str, ...]) -> str:
    """The first name and the number of further ones."""
    more = len(names) - 1
    return _shown(names[0]) + (f" and {more} more" if more else "")


def _shown(name: str) -> str:
    """A tensor name for use in a sentence: shortened, printable characters only."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= 100 else text[:60] + "..." + text[-37:]
