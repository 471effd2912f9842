"""Each kind of LoRA against its formula in float64, written out here in another way than the core has it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file

from webbduck_gradio.core import checkpoint_files
from webbduck_gradio.core.lora_adapters import LoraAdapters
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.models.lora_uses import LoraUse
from webbduck_gradio.models.probe.lora import inspect_lora
from webbduck_gradio.settings import Settings

LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
SQUARE = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION = "down_blocks.1.resnets.0.conv1"
NORM = "down_blocks.0.resnets.0.norm1"

Array = numpy.ndarray
Made = tuple[dict[str, Array], Callable[[Array], Array]]
"""(tensors by what follows the module's name, the delta for these weights)."""


def draws(*shape: int) -> Array:
    """The same numbers for the same shape, as a file in float32 holds them."""
    seed = sum(side * 31**place for place, side in enumerate(shape))
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)


def wide(array: Array) -> Array:
    return array.astype(numpy.float64)


def looped(core: Array, left: Array, right: Array) -> Array:
    """A Tucker form, entry by entry of its core."""
    total = numpy.zeros((left.shape[1], right.shape[1], *core.shape[2:]))
    for i in range(core.shape[0]):
        for j in range(core.shape[1]):
            outer = numpy.outer(wide(left[i]), wide(right[j]))
            total += outer[:, :, None, None] * wide(core[i, j])[None, None]
    return total


def lora(shape: tuple[int, ...], alpha: float | None = 2.0) -> Made:
    down, up = draws(3, *shape[1:]) / 9, draws(shape[0], 3, *[1 for _ in shape[2:]])
    tensors = {"lora_down.weight": down, "lora_up.weight": up}
    if alpha is not None:
        tensors["alpha"] = numpy.float32(alpha).reshape(())
    scale = 1 if alpha is None else alpha / 3
    total = sum(
        numpy.multiply.outer(wide(up).reshape(shape[0], 3)[:, rank], wide(down[rank])) for rank in range(3)
    )
    return tensors, lambda weight: scale * total


def tucker_lora(shape: tuple[int, ...]) -> Made:
    down, up, mid = draws(3, shape[1], 1, 1) / 9, draws(shape[0], 2, 1, 1), draws(2, 3, *shape[2:])
    tensors = {
        "lora_down.weight": down, "lora_up.weight": up, "lora_mid.weight": mid,
        "alpha": numpy.float32(1.5).reshape(()),
    }  # fmt: skip
    return tensors, lambda weight: 1.5 / 3 * looped(mid, up[:, :, 0, 0].T, down[:, :, 0, 0])


def loha(shape: tuple[int, ...]) -> Made:
    rest = int(numpy.prod(shape[1:]))
    a, b, c, d = draws(shape[0], 3) / 2, draws(3, rest), draws(shape[0], 3) / 3, draws(3, rest) / 2
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}
    total = sum(
        numpy.outer(wide(a[:, i]) * wide(c[:, j]), wide(b[i]) * wide(d[j]))
        for i in range(3)
        for j in range(3)
    )
    return tensors | {"alpha": numpy.float32(1).reshape(())}, lambda weight: total.reshape(shape) / 3


def tucker_loha(shape: tuple[int, ...]) -> Made:
    factors = [draws(3, shape[0]) / 2, draws(3, shape[1]) / 2, draws(3, shape[0]) / 3, draws(3, shape[1])]
    cores = draws(3, 3, *shape[2:]), draws(3, 3, *shape[2:]) / 2
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
    one, other = looped(cores[0], *factors[:2]), looped(cores[1], *factors[2:])
    return dict(zip(names, (*factors, *cores), strict=True)), lambda weight: one * other


def kron(one: Array, other: Array) -> Array:
    """Block by block."""
    rows = [numpy.concatenate([number * other for number in row], axis=1) for row in one]
    return numpy.concatenate(rows, axis=0)


def lokr(shape: tuple[int, ...], one: str = "whole", other: str = "whole") -> Made:
    tensors: dict[str, Array] = {"alpha": numpy.float32(2).reshape(())}
    scale = 1.0
    if one == "whole":
        w1 = wide(tensors.setdefault("lokr_w1", draws(4, 2) / 3))
    else:
        w1 = wide(tensors.setdefault("lokr_w1_a", draws(4, 3))) @ wide(
            tensors.setdefault("lokr_w1_b", draws(3, 2))
        )
        scale = 2 / 3
    out, into = shape[0] // 4, shape[1] // 2
    if other == "whole":
        w2 = wide(tensors.setdefault("lokr_w2", draws(out, into, *shape[2:]) / 3))
    elif other == "tucker":
        a, b, core = draws(3, out) / 2, draws(3, into) / 2, draws(3, 3, *shape[2:]) / 3
        tensors |= {"lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": core}
        w2, scale = looped(core, a, b), 2 / 3
    else:
        rest = into * int(numpy.prod(shape[2:]))
        a, b = draws(out, 3) / 3, draws(3, rest)
        tensors |= {"lokr_w2_a": a, "lokr_w2_b": b}
        w2, scale = (wide(a) @ wide(b)).reshape(out, into, *shape[2:]), 2 / 3
    return tensors, lambda weight: scale * kron(w1, w2)


def ia3(shape: tuple[int, ...], on_input: bool, size: tuple[int, ...]) -> Made:
    factors = draws(*size)
    tensors = {"weight": factors, "on_input": numpy.uint8(on_input).reshape(())}

    def delta(weight: Array) -> Array:
        flat, changed = wide(factors).reshape(-1), numpy.empty_like(weight)
        for place in range(len(flat)):
            if on_input:
                changed[:, place] = weight[:, place] * flat[place]
            else:
                changed[place] = weight[place] * flat[place]
        return changed

    return tensors, delta


def rotations(blocks: Array, constraint: float) -> list[Array]:
    skews = [wide(block) - wide(block).T for block in blocks.reshape(-1, *blocks.shape[-2:])]
    norm = sum((skew**2).sum() for skew in skews) ** 0.5
    by = min(1.0, constraint / norm) if constraint else 1.0
    one = numpy.eye(blocks.shape[-1])
    return [(one + by * skew) @ numpy.linalg.inv(one - by * skew) for skew in skews]


def diagonal(blocks: list[Array]) -> Array:
    size = len(blocks[0])
    whole = numpy.zeros((size * len(blocks), size * len(blocks)))
    for place, block in enumerate(blocks):
        whole[place * size :, place * size :][:size, :size] = block
    return whole


def oft(shape: tuple[int, ...], alpha: float = 0.0, rescaled: bool = False) -> Made:
    blocks = draws(shape[0] // 8, 8, 8) / 3
    tensors = {"oft_blocks": blocks, "alpha": numpy.float32(alpha).reshape(())}
    scale = 1 + draws(shape[0], *[1 for _ in shape[1:]]) / 4 if rescaled else numpy.ones((1,), numpy.float32)
    if rescaled:
        tensors["rescale"] = scale
    turned = diagonal(rotations(blocks, alpha * shape[0])).T  # x @ R on the output, as a row

    def delta(weight: Array) -> Array:
        rows = (turned @ weight.reshape(shape[0], -1)).reshape(shape)
        return wide(scale) * rows - weight

    return tensors, delta


def boft(shape: tuple[int, ...]) -> Made:
    factors, size, out = 3, 4, shape[0]
    blocks = draws(factors, out // size, size, size) / 3
    whole = numpy.eye(out)
    for level in range(factors):
        turned = diagonal(rotations(blocks, 0.0)[level * out // size : (level + 1) * out // size])
        apart = 2**level * size // 2
        # Rows (c, g, k) in the order (c, k, g).
        order = numpy.arange(out).reshape(-1, 2, apart).transpose(0, 2, 1).reshape(-1)
        moved = numpy.eye(out)[order]
        whole = moved.T @ turned @ moved @ whole
    return {"oft_blocks": blocks}, lambda weight: (whole @ weight.reshape(out, -1)).reshape(shape) - weight


def glora(shape: tuple[int, ...], is_old: bool = False) -> Made:
    first, second = draws(shape[1], 3) / 4, draws(3, shape[1]) / 4
    up, down = draws(shape[0], 3) / 3, draws(3, *shape[1:]) / 3
    names = ("a2", "a1", "b2", "b1") if is_old else ("a1", "a2", "b1", "b2")
    tensors = {
        f"{name}.weight": each for name, each in zip(names, (first, second, up, down), strict=True)
    } | {"alpha": numpy.float32(2).reshape(())}

    def delta(weight: Array) -> Array:
        inputs = wide(first) @ wide(second)
        mixed = sum(
            numpy.multiply.outer(weight[:, i], inputs[i]).reshape(shape[0], *shape[2:], shape[1])
            for i in range(shape[1])
        )
        added = (wide(up) @ wide(down).reshape(3, -1)).reshape(shape)
        return 2 / 3 * (numpy.moveaxis(mixed, -1, 1) + added)

    return tensors, delta


def difference(shape: tuple[int, ...], name: str = "diff") -> Made:
    tensor = draws(*shape) / 5
    return {name: tensor}, lambda weight: wide(tensor)


def dora(inner: Made, axis: int, shape: tuple[int, ...], name: str = "dora_scale") -> Made:
    """Each row or column W + ΔW gets the norm that the file says."""
    tensors, added = inner
    size = [1] * len(shape)
    size[axis] = shape[axis]
    norms = numpy.abs(draws(*size)) + 0.5
    stored = norms.reshape(-1) if name != "dora_scale" else norms

    def delta(weight: Array) -> Array:
        changed = weight + added(weight)
        for place in range(shape[axis]):
            row = numpy.take(changed, place, axis)
            row = row * (wide(norms).reshape(-1)[place] / (row**2).sum() ** 0.5)
            changed[(slice(None),) * axis + (place,)] = row
        return changed - weight

    return {**tensors, name: stored}, delta


KINDS: dict[str, tuple[str, str, Callable[[tuple[int, ...]], Made]]] = {
    "LoRA without alpha": ("LoRA", LINEAR, lambda shape: lora(shape, None)),
    "LoCon": ("LoCon", CONVOLUTION, lora),
    "Tucker": ("CP-LoCon", CONVOLUTION, tucker_lora),
    "LoHa": ("LoHa", LINEAR, loha),
    "LoHa, a convolution": ("LoHa", CONVOLUTION, loha),
    "LoHa, Tucker": ("LoHa", CONVOLUTION, tucker_loha),
    "LoKr": ("LoKr", LINEAR, lokr),
    "LoKr, a convolution": ("LoKr", CONVOLUTION, lokr),
    "LoKr, factored": ("LoKr", LINEAR, lambda shape: lokr(shape, "factored", "factored")),
    "LoKr, factored convolution": ("LoKr", CONVOLUTION, lambda shape: lokr(shape, "whole", "factored")),
    "LoKr, Tucker": ("LoKr", CONVOLUTION, lambda shape: lokr(shape, "whole", "tucker")),
    "IA3 of inputs": ("IA3", LINEAR, lambda shape: ia3(shape, True, (shape[1],))),
    "IA3 of outputs": ("IA3", LINEAR, lambda shape: ia3(shape, False, (shape[0],))),
    "IA3, a convolution": ("IA3", CONVOLUTION, lambda shape: ia3(shape, True, (1, shape[1], 1, 1))),
    "DoRA of inputs": ("DoRA", LINEAR, lambda shape: dora(lora(shape), 1, shape)),
    "DoRA of outputs": ("DoRA", SQUARE, lambda shape: dora(lora(shape), 0, shape)),
    "DoRA, a convolution": ("DoRA", CONVOLUTION, lambda shape: dora(lora(shape), 1, shape)),
    "DoRA of a LoHa": ("LoHa", LINEAR, lambda shape: dora(loha(shape), 1, shape)),
    "DoRA as peft has it": (
        "DoRA", SQUARE, lambda shape: dora(lora(shape), 0, shape, "lora_magnitude_vector.weight"),
    ),
    "full": ("full difference", CONVOLUTION, difference),
    "a layer that normalises": (
        "LoRA with normalisation layers", NORM, lambda shape: difference(shape, "w_norm"),
    ),
    "OFT": ("OFT", SQUARE, oft),
    "OFT, constrained": ("OFT", SQUARE, lambda shape: oft(shape, 0.01)),
    "OFT, a rescaled convolution": ("OFT", CONVOLUTION, lambda shape: oft(shape, rescaled=True)),
    "BOFT": ("BOFT", SQUARE, boft),
    "BOFT, a convolution": ("BOFT", CONVOLUTION, boft),
    "GLoRA": ("GLoRA", LINEAR, glora),
    "GLoRA, a convolution": ("GLoRA", CONVOLUTION, glora),
    "GLoRA, as it was": ("GLoRA", LINEAR, lambda shape: glora(shape, is_old=True)),
}  # fmt: skip


@pytest.fixture(scope="module")
def pipe(starter: Checkpoint) -> Any:
    return checkpoint_files.read(starter, torch.float32)


@pytest.fixture(scope="module")
def shelf(folders: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.fixture
def unchanged(pipe: Any) -> Iterator[None]:
    """After the test the checkpoint is the same to the bit."""
    before = bits(pipe)
    yield
    assert bits(pipe) == before


def bits(pipe: Any) -> dict[tuple[str, str], str]:
    return {
        (part, name): hashlib.sha256(each.data.contiguous().view(torch.uint8).numpy()).hexdigest()
        for part in ("unet", "text_encoder", "text_encoder_2")
        for name, each in getattr(pipe, part).named_parameters()
    }


def catalog_of(folders: Settings, shelf: Path) -> Registry:
    return Registry(
        Settings(checkpoints=folders.checkpoints, loras=shelf, outputs=folders.outputs, inputs=folders.inputs)
    )


def written(shelf: Path, name: str, tensors: dict[str, Any]) -> Path:
    path = shelf / f"{name}.safetensors"
    save_file(
        {key: torch.as_tensor(each).contiguous() for key, each in tensors.items()},
        path,
        {"ss_base_model_version": "sdxl_base_v1-0"},
    )
    return path


@pytest.mark.parametrize("case", KINDS)
def test_a_kind_adds_what_its_formula_says(
    pipe: Any, unchanged: None, folders: Settings, shelf: Path, case: str
) -> None:
    kind, module, make = KINDS[case]
    weight = pipe.unet.get_parameter(f"{module}.weight")
    before = weight.data.clone()
    tensors, delta = make(tuple(weight.shape))
    flat = "lora_unet_" + module.replace(".", "_")
    path = written(shelf, "it", {f"{flat}.{name}": each for name, each in tensors.items()})
    assert (inspect_lora(path).kind, inspect_lora(path).fault) == (kind, "")
    it = catalog_of(folders, shelf).lora("it")
    adapters, exact = LoraAdapters(pipe), delta(before.double().numpy())
    for strength in (1.0, -0.7, 0.35):
        adapters.activate([LoraUse(it, strength)])
        added = weight.data.double().numpy() - before.double().numpy()
        far = numpy.linalg.norm(added - strength * exact)
        # What rounding the sum to float32 costs is not the formula's.
        rounding = 2**-24 * numpy.linalg.norm(before.double().numpy() + strength * exact)
        assert far <= 1e-5 * abs(strength) * numpy.linalg.norm(exact) + rounding
    adapters.activate([])
