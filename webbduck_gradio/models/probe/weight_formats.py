"""Detects how a checkpoint's weights are stored, from names, types and shapes of its tensors.

Floating point, including float8, is loaded directly. Scaled float8 is loaded as stored x scale if the shapes
determine which scale belongs to which weights. Any other quantisation is refused by name, since its raw
values would only give noise.

Spellings: `X.scale_weight` with `scaled_fp8`, `X.weight_scale` with `X.comfy_quant` (ComfyUI);
`X.weight_scale` (compressed-tensors, ModelOpt); `X.weight_scale_inv` (DeepSeek's blocks).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ...errors import ModelError
from .safetensors_header import Header, Tensor

FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
FLOAT8 = frozenset({"F8_E4M3", "F8_E5M2"})

UNSUPPORTED = (
    (r"\.quant_state\.bitsandbytes__|\.(nested_)?(absmax|quant_map)$", "bitsandbytes 4 bit (NF4 or FP4)"),
    (r"\.(SCB|weight_format|CB)$", "bitsandbytes 8 bit"),
    (r"\.(wscales|wcscales|wtscale|smooth_factor(_orig)?|proj_down|proj_up|smooth)$", "SVDQuant (nunchaku)"),
    (r"\.(qweight|qzeros|g_idx|scales|zeros)$", "GPTQ or AWQ"),
    (r"(weight|input|output)\._(data|scale|shift|axis)$|\.output_scale$", "quanto"),
    (r"_qdata$|\.tensor_impl|:_data$|\.int_data$", "torchao"),
    (r"\.(W_q|meta)$", "HQQ"),
    (r"weight_scale_2$|_amax$|\.pre_quant_scale$|_quantizer\.", "NVFP4 or another one of ModelOpt"),
    (r"zero_point$|weight_zp$", "whole numbers with zero points"),
)
"""(pattern of tensors that only a quantised file has, name of the quantisation)."""
_UNSUPPORTED = re.compile(
    "|".join(f"(?P<kind{n}>{pattern})" for n, (pattern, _) in enumerate(UNSUPPORTED)), re.MULTILINE
)

_SCALE = re.compile(r"^(?:(.*\.)scale_weight|(.*weight)(?:_scale|_scale_inv|\.scale|\.scale_inv))$")
_IGNORED = re.compile(r"(?:^|\.)(?:scale_input|input_scale|scaled_fp8|comfy_quant)$")
"""Activation scales (needed only for computing in float8), and marker tensors."""


class Scale(NamedTuple):
    """`key`: tensor with the scales; `blocks`: along each axis, how many consecutive weights share one."""

    key: str
    blocks: tuple[int, ...]


def check(name: str, header: Header, parts: Mapping[str, str]) -> dict[str, Scale]:
    """Weight name -> scale, for weights that have one.

    `parts`: name prefix -> display name of the part. Raises `ModelError` for unsupported formats.
    """
    shared = header.derived
    of_parts = ("formats", tuple(parts))
    if of_parts not in shared:
        shared[of_parts] = _stored(header.tensors, tuple(parts))
    part_keys, unsupported, scales, odd = shared[of_parts]
    if unsupported:
        raise refused(name, unsupported)
    _check_metadata(name, header.metadata)
    if odd:
        raise refused(name, odd)
    if any(key.endswith("comfy_quant") for key in part_keys) and not scales:
        raise refused(name, "an unknown one of ComfyUI (comfy_quant without scales)")
    _check_complete(name, header, part_keys, scales, parts)
    return _blocks(name, header, scales)


def _stored(
    tensors: Mapping[str, Tensor], prefixes: tuple[str, ...]
) -> tuple[list[str], str, dict[str, str], str]:
    """Names of the parts' tensors, a format that is told by a name, weight name -> name of its scales, and a
    type that is not supported; "" where there is none."""
    keys = [key for key in tensors if key.startswith(prefixes)]
    found = _UNSUPPORTED.search("\n".join(keys))
    unsupported = UNSUPPORTED[int(str(found.lastgroup).removeprefix("kind"))][1] if found else ""
    scales = {_weight_of(key): key for key in keys if "scale" in key and _SCALE.match(key)}
    helpers = {*scales.values(), *(key for key in keys if _IGNORED.search(key))}
    for key in keys:
        dtype = tensors[key].dtype
        if key in helpers or dtype in FLOATS or dtype in FLOAT8 or is_index(key):
            continue
        kind = "float" if dtype.startswith("F") else "integers" if dtype[0] in "IUB" else "values"
        return keys, unsupported, scales, f"{dtype} ({kind} in {key})"
    return keys, unsupported, scales, ""


def is_index(key: str) -> bool:
    """Whether an integer tensor is just a buffer of positions or counts, as in text encoders."""
    return key.endswith(("position_ids", "num_batches_tracked"))


def is_helper(key: str) -> bool:
    """Whether a tensor belongs to a supported quantisation."""
    return bool(_SCALE.match(key) or _IGNORED.search(key))


def refused(name: str, what: str) -> ModelError:
    """The error for weights in an unsupported format."""
    return ModelError(
        f"{name} stores its weights in a format that is not supported: {what}; "
        "get the version in float16, bfloat16 or float8."
    )


def _weight_of(key: str) -> str:
    found = _SCALE.match(key)
    assert found is not None
    return found[1] + "weight" if found[1] is not None else found[2]


def _check_metadata(name: str, metadata: Mapping[str, str]) -> None:
    """Raise `ModelError` if the metadata declares an unsupported quantisation."""
    for key, text in metadata.items():
        if "quant" not in key.lower():
            continue
        if text.strip().lower() in ("", "none", "null", "false", "{}"):
            continue
        unknown = {each for each in _formats_in(text) if not re.search(r"f(loat|p)?_?8|e4m3|e5m2", each)}
        if unknown:
            raise refused(name, f"{sorted(unknown)[0][:60]} (its metadata, {key})")


def _formats_in(text: str) -> set[str]:
    """Formats named in a metadata value: ComfyUI's {"layers": {X: {"format": ...}}}, or the text itself."""
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        return {text.strip().lower()}
    layers = description.get("layers") if isinstance(description, dict) else None
    if not isinstance(layers, dict):
        return {text.strip().lower()}
    return {str(each.get("format") if isinstance(each, dict) else each).lower() for each in layers.values()}


def _check_complete(
    name: str, header: Header, part_keys: Iterable[str], scales: Mapping[str, str], parts: Mapping[str, str]
) -> None:
    """Raise `ModelError` for scales without weights, or float8 weights without the scales that others
    have."""
    for weight, key in scales.items():
        found = header.tensors.get(weight)
        if found is None:
            raise ModelError(f"{name} is incomplete: it has {key} but no {weight}; get the complete file.")
        plain = found.dtype not in FLOAT8 and not key.endswith(".scale_weight")
        if plain or header.tensors[key].dtype not in FLOATS:
            kinds = f"{found.dtype} with scales in {header.tensors[key].dtype}"
            raise refused(name, f"{kinds} ({key})")
    for prefix, part in parts.items():
        if not any(weight.startswith(prefix) for weight in scales):
            continue
        unscaled = [
            key
            for key in part_keys
            if key.startswith(prefix) and key not in scales and header.tensors[key].dtype in FLOAT8
            if not is_helper(key)
        ]
        if unscaled:
            raise ModelError(
                f"{name} is incomplete: in its {part}, {unscaled[0]}{and_more(unscaled)} in float8 without a "
                "scale, unlike the others; get the complete file."
            )


def and_more(found: list[Any]) -> str:
    """' is' for one item, ' and 3 more are' for four."""
    return f" and {len(found) - 1} more are" if len(found) > 1 else " is"


def _blocks(name: str, header: Header, scales: Mapping[str, str]) -> dict[str, Scale]:
    """Which weights each scale covers. Block sizes and the meaning of 1-D scales are the same in the whole
    file, so ambiguous layers are resolved by the others."""
    tensors = header.tensors
    pairs = {weight: (tensors[weight], tensors[key]) for weight, key in scales.items()}
    lists = [(weight, scale) for weight, scale in pairs.values() if len(scale.shape) == 1 != scale.shape[0]]
    by_row = any(
        len({*weight.shape[:2]}) > 1 and scale.shape[0] == weight.shape[0] for weight, scale in lists
    )
    shapes = {}
    for weight, (stored, scale) in pairs.items():
        shape = _aligned(stored.shape, scale.shape, by_row)
        if shape is None:
            raise _ambiguous(name, scales[weight], stored, scale)
        shapes[weight] = shape
    sizes: list[int | None] = []
    for axis in (0, 1):
        counts = [
            (pairs[weight][0].shape[axis], shape[axis])
            for weight, shape in shapes.items()
            if len(shape) > axis and shape[axis] not in (1, pairs[weight][0].shape[axis])
        ]
        sizes.append(_one_size(counts) if counts else None)
    found = {}
    for weight, shape in shapes.items():
        stored, scale = pairs[weight]
        blocks = []
        for axis, (whole, count) in enumerate(zip(stored.shape, shape, strict=True)):
            block = (
                max(whole, 1) if count == 1 else 1 if count == whole else sizes[axis] if axis < 2 else None
            )
            if block is None:
                raise _ambiguous(name, scales[weight], stored, scale)
            blocks.append(block)
        found[weight] = Scale(scales[weight], tuple(blocks))
    return found


def _aligned(stored: tuple[int, ...], scale: tuple[int, ...], by_row: bool) -> tuple[int, ...] | None:
    """The shape of the scales, with as many axes as the weights; None if ambiguous."""
    ones = (1,) * (len(stored) - 1)
    if scale in ((), (1,)):
        return (1, *ones)[: len(stored)]
    if len(scale) == 1:
        clear = len(stored) == 1 or stored[0] != stored[1] or by_row
        return (scale[0], *ones) if scale[0] == stored[0] and clear else None
    if len(scale) < len(stored) and len(scale) == 2:
        scale = (*scale, *((1,) * (len(stored) - 2)))
    fits = len(scale) == len(stored) and all(1 <= n <= whole for n, whole in zip(scale, stored, strict=True))
    return scale if fits else None


def _one_size(counts: list[tuple[int, int]]) -> int | None:
    """The block size that fits all layers, each given as (weights, blocks): a power of two, or one that
    divides all evenly. None if there is no such size, or more than one."""
    low = max(-(-whole // blocks) for whole, blocks in counts)
    high = min((whole - 1) // (blocks - 1) for whole, blocks in counts)
    sizes = {size for size in (2**n for n in range(13)) if low <= size <= high}
    if all(blocks * low == whole for whole, blocks in counts):
        sizes.add(low)
    return sizes.pop() if len(sizes) == 1 else None


def _ambiguous(name: str, key: str, stored: Tensor, scale: Tensor) -> ModelError:
    sizes = " for weights of ".join(" x ".join(map(str, each.shape)) or "1" for each in (scale, stored))
    return ModelError(
        f"{name}: it is not clear which weights the scales {key} belong to ({sizes}); "
        "get the version in float16 or plain float8."
    )
