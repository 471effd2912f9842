"""The kinds of changes in LoRA files: which tensors make one up, and what they change, told by shapes alone.

What each computes stands in `core/lora_kinds/`, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""By role (`lora_keys`)."""

BIAS_ROLES = ("diff_b", "b_norm", "up_bias")
"""What is added to a bias, beside or without a change of the weights."""
NORMALISED = ("dora_scale", "magnitude")
"""New norms of the changed weights: LyCORIS' and peft's names."""


@dataclass(frozen=True)
class Outline:
    """What weights a change fits; -1 or None = any."""

    out: int
    """Their first axis."""
    rest: int
    """The product of their other axes."""
    kernel: Shape | None = None
    """Sides of the kernel; () for a single point."""
    either: int = -1
    """The first or the second axis."""

    def fits(self, weight: Shape) -> bool:
        """`weight`: its shape."""
        return (
            self.out in (-1, weight[0])
            and self.rest in (-1, prod(weight[1:]))
            and (self.kernel is None or self.kernel == kernel(weight))
            and (self.either == -1 or self.either in weight[:2])
        )


def kernel(shape: Shape) -> Shape:
    """Sides of a kernel; one of a single point is as good as none."""
    return () if all(side == 1 for side in shape[2:]) else shape[2:]


@dataclass(frozen=True)
class Kind:
    name: str
    roles: frozenset[str]
    """All that it can have."""
    complete: tuple[frozenset[str], ...]
    """What it must have: one of these sets."""
    outline: Callable[[Shapes], Outline | None]
    """None if the tensors do not fit each other."""

    def lacks(self, roles: Mapping[str, object]) -> str:
        """A role that is missing; "" if none is."""
        missing = [sorted(needed - roles.keys()) for needed in self.complete]
        return "" if not all(missing) else min(missing, key=len)[0]


def _low_rank(shapes: Shapes) -> Outline | None:
    down, up, mid = shapes["down"], shapes["up"], shapes.get("mid")
    if len(down) < 2 or len(up) < 2 or prod(up[2:]) != 1:
        return None
    if mid is None:
        return Outline(up[0], prod(down[1:]), kernel(down)) if down[0] == up[1] else None
    if len(mid) < 3 or mid[:2] != (up[1], down[0]) or prod(down[2:]) != 1:
        return None
    return Outline(up[0], down[1] * prod(mid[2:]), kernel(mid))


def _product(shapes: Shapes, left: str, right: str, core: str) -> Shape | None:
    """The shape of one factored matrix: (out, in x kernel), or (out, in, kernel) with a core tensor."""
    a, b, t = shapes[left], shapes[right], shapes.get(core)
    if len(a) != 2 or len(b) < 2:
        return None
    if t is None:
        return (a[0], prod(b[1:])) if a[1] == b[0] else None
    return (a[1], b[1], *t[2:]) if len(t) > 2 and len(b) == 2 and t[:2] == (a[0], b[0]) else None


def _of_matrix(shape: Shape) -> Outline:
    return Outline(shape[0], prod(shape[1:]), kernel(shape) if len(shape) > 2 else None)


def _hadamard(shapes: Shapes) -> Outline | None:
    one = _product(shapes, "hada_w1_a", "hada_w1_b", "hada_t1")
    other = _product(shapes, "hada_w2_a", "hada_w2_b", "hada_t2")
    return None if one is None or one != other else _of_matrix(one)


def _kronecker(shapes: Shapes) -> Outline | None:
    one, other = (
        shapes[whole] if whole in shapes else _product(shapes, f"{whole}_a", f"{whole}_b", core)
        for whole, core in (("lokr_w1", ""), ("lokr_w2", "lokr_t2"))
    )
    if one is None or other is None or len(one) != 2 or len(other) < 2:
        return None
    return _of_matrix((one[0] * other[0], one[1] * other[1], *other[2:]))


def _scaled(shapes: Shapes) -> Outline | None:
    if "ia3_l" in shapes:
        scale = shapes["ia3_l"]
        return Outline(-1, -1, either=prod(scale)) if max(scale, default=0) == prod(scale) else None
    scale = shapes["weight"]
    is_one = prod(shapes["on_input"]) == 1 and max(scale, default=0) == prod(scale)
    return Outline(-1, -1, either=prod(scale)) if is_one else None


def _rotated(shapes: Shapes) -> Outline | None:
    blocks = shapes["oft_blocks"]
    if len(blocks) not in (3, 4) or blocks[-1] != blocks[-2] or (len(blocks) == 4 and blocks[-1] % 2):
        return None
    out = blocks[-3] * blocks[-2]
    if len(blocks) == 4 and out % (blocks[-1] << (blocks[0] - 1)):
        return None
    rescale = shapes.get("rescale")
    return Outline(out, -1) if rescale is None or rescale[0] == prod(rescale) == out else None


def _generalised(shapes: Shapes) -> Outline | None:
    if min(len(shapes[name]) for name in ("a1", "a2", "b1", "b2")) < 2:
        return None
    if is_new_glora(shapes):
        names = "b1", "b2", "a1", "a2"
    elif "bm" not in shapes:
        names = "b2", "b1", "a2", "a1"
    else:
        return None
    up, down, first, second = (shapes[name] for name in names)
    if prod(first[2:]) != 1 or prod(second[2:]) != 1:
        return None
    added = _low_rank({"up": up, "down": down, **({"mid": shapes["bm"]} if "bm" in shapes else {})})
    rank = first[1]
    if added is None or second[0] != rank or second[1] != first[0]:
        return None
    width = down[1]
    return added if first[0] == width or prod(down[1:]) % first[0] == 0 else None


def is_new_glora(shapes: Shapes) -> bool:
    """Whether the product of `b1` and `b2` has them in this order, as LyCORIS 1.9 and later; before, and in
    the paper's code, they are the other way round."""
    b1, b2, a1, a2 = (shapes[name] for name in ("b1", "b2", "a1", "a2"))
    return b1[1] == b2[0] and a1[1] == a2[0] == b1[1] and a1[0] == a2[1]


def _whole(shapes: Shapes) -> Outline | None:
    shape = shapes.get("diff", shapes.get("w_norm", ()))
    return Outline(shape[0], prod(shape[1:]), kernel(shape)) if shape and 0 not in shape else None


def _kind(name: str, outline: Callable[[Shapes], Outline | None], roles: str, *complete: str) -> Kind:
    needed = tuple(frozenset(each.split()) for each in complete)
    return Kind(name, frozenset(roles.split()).union(*needed), needed, outline)


LORA = _kind("LoRA", _low_rank, "mid", "down up")
LOHA = _kind("LoHa", _hadamard, "hada_t1 hada_t2", "hada_w1_a hada_w1_b hada_w2_a hada_w2_b")
LOKR = _kind(
    "LoKr", _kronecker, "lokr_t2",
    *(f"{one} {other}" for one in ("lokr_w1", "lokr_w1_a lokr_w1_b")
      for other in ("lokr_w2", "lokr_w2_a lokr_w2_b")),
)  # fmt: skip
IA3 = _kind("IA3", _scaled, "", "weight on_input", "ia3_l")
OFT = _kind("OFT", _rotated, "rescale", "oft_blocks")
GLORA = _kind("GLoRA", _generalised, "bm", "a1 a2 b1 b2")
FULL = _kind("full difference", _whole, "", "diff", "w_norm")
KINDS = (LORA, LOHA, LOKR, IA3, OFT, GLORA, FULL)
"""All that change weights; BOFT is an OFT whose blocks have one more axis, DoRA any with `NORMALISED`."""


def kinds_of(roles: Mapping[str, object]) -> list[Kind]:
    """Those that a module's tensors belong to: one in a sound file, none where only its bias is changed."""
    return [kind for kind in KINDS if roles.keys() & kind.roles]


def norms_fit(shapes: Shapes, weight: Shape) -> bool:
    """Whether new norms, if there are any, are one for each output or each input. `weight`: its shape."""
    scale, magnitude = shapes.get("dora_scale"), shapes.get("magnitude")
    if magnitude is not None:
        return scale is None and prod(magnitude) == weight[0]
    return scale is None or norm_axis(scale, weight) is not None


def norm_axis(scale: Shape, weight: Shape) -> int | None:
    """The axis of the weights along which `dora_scale` lies: 0 = outputs, 1 = inputs; None = neither."""
    if len(weight) < 2 or not scale:
        return None
    if scale[0] == prod(scale) == weight[0] and (len(scale) > 1 or weight[0] != weight[1]):
        return 0
    return 1 if prod(scale) == weight[1] and (len(scale) == 1 or scale[1] == weight[1]) else None
