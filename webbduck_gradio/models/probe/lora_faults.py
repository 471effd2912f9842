"""Finds faults of a LoRA file from its header: reasons not to use it, and tensors that are ignored.

Each text is a predicate for the file's name, without full stop.
"""

from __future__ import annotations

from collections.abc import Mapping

from .lora_keys import LoraNames, read_names, weighted
from .lora_kinds import BIAS_ROLES, LORA, NORMALISED, kinds_of
from .safetensors_header import Header, Tensor

Faults = tuple[str, tuple[str, ...]]
"""(why it cannot be used, or ""; what is ignored)."""

_FLOAT_TYPES = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
"""Data types usable directly; integers would need a scale."""


def faults(header: Header) -> Faults:
    """Faults of a LoRA file of any kind that can be applied."""
    names = read_names(header.tensors)
    parts = weighted(names)
    fault = _names_fault(names, parts) or _roles_fault(parts) or _tensors_fault(header, parts)
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
            return f"contains {_shown(name)}, which is of an unknown kind; choose another file"
    return ""


def _roles_fault(parts: Mapping[str, Mapping[str, str]]) -> str:
    for half, other in (("up", "down"), ("down", "up")):
        alone = [roles[other] for roles in parts.values() if half not in roles and other in roles]
        if alone:
            return f"is incomplete: the other half of {_some(alone)} is missing; get it again"
    for module, roles in parts.items():
        kinds = kinds_of(roles)
        if len(kinds) > 1:
            both = " and ".join(kind.name for kind in kinds[:2])
            return f"is ambiguous: {_shown(module)} is of the kinds {both} at once; get it again"
        if kinds and (role := kinds[0].lacks(roles)):
            return f"is incomplete: {role} of {_shown(module)} is missing; get it again"
        if not kinds and (not roles.keys() & set(BIAS_ROLES) or roles.keys() & set(NORMALISED)):
            lone = _shown(next(iter(roles.values())))
            return f"is incomplete: what {lone} belongs to is missing; get it again"
    return ""


def _tensors_fault(header: Header, parts: Mapping[str, Mapping[str, str]]) -> str:
    for module, roles in parts.items():
        tensors = {role: header.tensors[name] for role, name in roles.items()}
        for role, tensor in tensors.items():
            if tensor.dtype not in _FLOAT_TYPES and role not in ("alpha", "on_input"):
                return f"has weights of the type {tensor.dtype}, which is not supported; get it as F16"
        shapes = {role: tensor.shape for role, tensor in tensors.items()}
        kind = next(iter(kinds_of(roles)), None)
        if kind is LORA and "mid" not in roles and not _fit(tensors["down"], tensors["up"]):
            both = f"{_shape_text(tensors['down'])} and {_shape_text(tensors['up'])}"
            return f"is damaged: the halves of {_shown(module)} do not fit each other ({both}); get it again"
        is_empty = any(0 in shape for shape in shapes.values())
        if is_empty or (kind is not None and kind.outline(shapes) is None):
            return f"is damaged: the tensors of {_shown(module)} do not fit each other; get it again"
        if "alpha" in roles and any(side != 1 for side in shapes["alpha"]):
            return f"is damaged: {_shown(roles['alpha'])} is not one number; get it again"
    return ""


def _fit(down: Tensor, up: Tensor) -> bool:
    """Whether the shapes match: (rank, in, ...) and (out, rank, 1 ...)."""
    plain = 0 not in (*down.shape, *up.shape)
    return plain and LORA.outline({"down": down.shape, "up": up.shape}) is not None


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
