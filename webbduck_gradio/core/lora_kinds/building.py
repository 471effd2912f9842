"""Builds a change from the tensors that a file holds for one module."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from ...models.probe.lora_kinds import (
    BIAS_ROLES,
    FULL,
    GLORA,
    IA3,
    LOHA,
    LOKR,
    LORA,
    OFT,
    is_new_glora,
    kinds_of,
    norm_axis,
    norms_fit,
)
from . import Change, Difference, Generalised, Hadamard, Kronecker, LowRank, Normalised, Rescaling, Rotation
from .low_rank import TuckerLowRank

Tensors = Mapping[str, torch.Tensor]
"""By role (`models.probe.lora_keys`)."""
ScaleOf = Callable[[int], float]
"""The factor of a product of this rank."""


def weight_change(tensors: Tensors, weight: torch.Size, scale_of: ScaleOf) -> Change | None:
    """The change of a module's weights; None if there is none that fits weights of this shape."""
    shapes = {role: tuple(each.shape) for role, each in tensors.items()}
    kind = next(iter(kinds_of(tensors)), None)
    if kind is None or kind.lacks(tensors):
        return None
    outline = kind.outline(shapes)
    if outline is None or not outline.fits(tuple(weight)) or not norms_fit(shapes, tuple(weight)):
        return None
    change: Change
    if kind is LORA:
        change = _low_rank(tensors, "down", "mid", "up", scale_of(shapes["down"][0]))
    elif kind is LOHA:
        change = Hadamard(
            tensors["hada_w1_a"],
            tensors["hada_w1_b"],
            tensors["hada_w2_a"],
            tensors["hada_w2_b"],
            tensors.get("hada_t1"),
            tensors.get("hada_t2"),
            scale_of(shapes["hada_w1_b"][0]),
        )
    elif kind is LOKR:
        factored = [shapes[role][0] for role in ("lokr_w2_b", "lokr_w1_b") if role in shapes]
        change = Kronecker(
            tensors.get("lokr_w1"),
            tensors.get("lokr_w1_a"),
            tensors.get("lokr_w1_b"),
            tensors.get("lokr_w2"),
            tensors.get("lokr_w2_a"),
            tensors.get("lokr_w2_b"),
            tensors.get("lokr_t2"),
            scale_of(factored[0]) if factored else 1.0,
        )
    elif kind is IA3:
        change = _rescaling(tensors, weight)
    elif kind is OFT:
        alpha = float(tensors["alpha"].double()) if "alpha" in tensors else 0.0
        # Both trainers multiply the constraint by the number of outputs.
        change = Rotation(tensors["oft_blocks"], tensors.get("rescale"), alpha * weight[0])
    elif kind is GLORA:
        is_new = is_new_glora(shapes)
        first, second = (tensors[name] for name in (("a1", "a2") if is_new else ("a2", "a1")))
        down, up = ("b2", "b1") if is_new else ("b1", "b2")
        change = Generalised(first, second, _low_rank(tensors, down, "bm", up, 1.0), scale_of(first.shape[1]))
    else:
        assert kind is FULL
        change = Difference(tensors["diff"] if "diff" in tensors else tensors["w_norm"])
    if "magnitude" in tensors:
        return Normalised(change, tensors["magnitude"], 0)
    if "dora_scale" in tensors:
        return Normalised(change, tensors["dora_scale"], norm_axis(shapes["dora_scale"], tuple(weight)) or 0)
    return change


def bias_change(tensors: Tensors, bias: torch.Tensor | None, scale_of: ScaleOf) -> Change | None:
    """The change of a module's bias; None if there is none that fits it."""
    roles = [role for role in BIAS_ROLES if role in tensors]
    if len(roles) != 1 or bias is None or tensors[roles[0]].shape != bias.shape:
        return None
    scale = scale_of(tensors["down"].shape[0]) if roles[0] == "up_bias" and "down" in tensors else 1.0
    return Difference(tensors[roles[0]], scale)


def _low_rank(tensors: Tensors, down: str, mid: str, up: str, scale: float) -> LowRank | TuckerLowRank:
    if mid in tensors:
        return TuckerLowRank(tensors[down], tensors[mid], tensors[up], scale)
    return LowRank(tensors[down], tensors[up], scale)


def _rescaling(tensors: Tensors, weight: torch.Size) -> Rescaling:
    if "ia3_l" in tensors:
        factors = tensors["ia3_l"]
        on_input = factors.shape[0] != weight[0] if factors.ndim > 1 else factors.numel() != weight[0]
        return Rescaling(factors, on_input, is_difference=False)
    return Rescaling(tensors["weight"], bool(tensors["on_input"].item()), is_difference=True)
