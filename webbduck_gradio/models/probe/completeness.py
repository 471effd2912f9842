"""Checks that a checkpoint is complete: every tensor present with the right shape, and nothing that SDXL does
not have. Only headers are read, so that problems are reported when the checkpoint is listed."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ...errors import ModelError
from . import dress, expected_tensors, original_names, prediction, single_file_config, weight_formats
from .folder_files import Weights, read_json, weights_of
from .safetensors_header import Header, Tensor, read_header
from .single_file_config import PARTS, PROJECTION, PROJECTION_TRANSPOSED, Config

MARK_SIZE = 64
"""An unknown tensor with at most this many elements is a marker that may change the meaning of the others."""


class Completeness(NamedTuple):
    """Result: number of parameters, data types of the UNet's weights, notes, and `CheckpointInfo.dress`."""

    numbers: int
    stored: frozenset[str]
    notes: tuple[str, ...]
    dress: tuple[str, ...]


def check_file(
    name: str, header: Header, parts: Mapping[str, Config], scales: Mapping[str, weight_formats.Scale]
) -> Completeness:
    """Check a single file. `parts`: from `single_file_config.configs`. Raises `ModelError`."""
    refiner = "text_encoder" not in parts
    try:
        wanted = single_file_config.tensors(dict(parts), refiner)
        expected_tensors.check_together(parts)
    except expected_tensors.UnbuildableError as error:
        raise ModelError(f"{name} cannot be loaded: {error}; get another version of it.") from None
    known: set[str] = {key for key in header.tensors if weight_formats.is_helper(key)}
    weights: dict[str, list[Tensor]] = {}
    for part, shapes in wanted.items():
        found: dict[str, Tensor] = {key: header.tensors[key] for key in shapes if key in header.tensors}
        if part == "text_encoder_2":
            prefix = single_file_config.open_clip_prefix(refiner)
            transposed = header.tensors.get(prefix + PROJECTION_TRANSPOSED)
            if transposed is not None and prefix + PROJECTION not in found:
                found[prefix + PROJECTION] = transposed._replace(shape=transposed.shape[::-1])
                known.add(prefix + PROJECTION_TRANSPOSED)
        compare(name, PARTS[part], shapes, found)
        known.update(shapes)
        weights[PARTS[part]] = [*found.values()]
    rest = [key for key in header.tensors if key not in known and not prediction.is_marker(key)]
    return Completeness(
        sum(math.prod(shape) for shapes in wanted.values() for shape in shapes.values()),
        frozenset(each.dtype for each in weights[PARTS["unet"]]),
        _check_remaining(name, rest, header, refiner),
        (dress.formats(weights, scaled=bool(scales)), *dress.left_out(rest)),
    )


_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def check_folder(folder: Path, refiner: bool) -> Completeness:
    """Check a folder in diffusers layout that has all configurations. Raises `ModelError`."""
    name = folder.name
    configs: dict[str, Config] = {}
    numbers, stored = 0, frozenset[str]()
    weights: dict[str, list[Tensor]] = {}
    files: dict[str, Weights] = {}
    rest: list[str] = []
    for part in single_file_config.prefixes(refiner):
        if part == "vae" and lacks_vae(folder):
            continue
        config = configs[part] = read_json(folder / part / "config.json", f"{name}/{part}")
        if method := config.get("quantization_config") or config.get("compression_config"):
            kind = method.get("quant_method", "unknown") if isinstance(method, dict) else method
            raise weight_formats.refused(f"{name}/{part}", f"{kind} (quantization_config)")
        try:
            wanted = _folder_shapes(part, config)
        except expected_tensors.UnbuildableError as error:
            raise ModelError(
                f"{name}/{part} cannot be loaded: {error}; get another version of the checkpoint."
            ) from None
        files[part] = weights_of(folder / part, folder.name)
        tensors, where = _tensors_of(folder, part, files[part].files)
        header = Header(tensors)
        if weight_formats.check(where, header, {"": PARTS[part]}):
            raise weight_formats.refused(where, "scaled float8 in a folder")
        compare(where, PARTS[part], wanted, tensors)
        more = [key for key in tensors if key not in wanted and not weight_formats.is_helper(key)]
        _check_remaining_in_folder(where, part, more)
        rest += more
        weights[PARTS[part]] = [tensors[key] for key in wanted]
        numbers += sum(map(math.prod, wanted.values()))
        if part == "unet":
            stored = frozenset(each.dtype for each in tensors.values())
    try:
        expected_tensors.check_together(configs)
    except expected_tensors.UnbuildableError as error:
        raise ModelError(
            f"{name} does not fit together: {error}; copy the checkpoint folder again."
        ) from None
    phrases = dress.formats(weights), *dress.of_folder(folder, files), *dress.left_out(rest)
    return Completeness(numbers, stored, (), phrases)


def lacks_vae(folder: Path) -> bool:
    """Whether a folder comes without a VAE, and not with half of one."""
    return not os.path.lexists(folder / "vae")


def _folder_shapes(part: str, config: Config) -> expected_tensors.Shapes:
    if part == "unet":
        return expected_tensors.unet(config)
    if part == "vae":
        if config.get("shift_factor"):
            raise expected_tensors.UnbuildableError("it has a shift_factor, which SDXL's has not")
        return expected_tensors.vae(config)
    # transformers' defaults for CLIP
    defaults = {
        "num_hidden_layers": 12,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_attention_heads": 8,
    }
    return expected_tensors.clip(
        {**defaults, "projection_dim": 512, **config}, projection=part == "text_encoder_2"
    )


def _tensors_of(folder: Path, part: str, files: tuple[Path, ...]) -> tuple[dict[str, Tensor], str]:
    """All tensors of a part under current names, and their location for messages."""
    tensors: dict[str, Tensor] = {}
    for file in files:
        header = read_header(file)
        if header.odd:
            raise ModelError(
                f"{folder.name}/{part}/{file.name} has metadata that is not text "
                f"({header.odd[0][:60]}), which the safetensors format forbids; copy it again."
            )
        tensors |= {_current_name(part, key): each for key, each in header.tensors.items()}
    where = f"{folder.name}/{part}"
    return tensors, f"{where}/{files[0].name}" if len(files) == 1 else where


def _current_name(part: str, key: str) -> str:
    if part == "vae":
        return current_vae_name(key)
    if part.startswith("text_encoder") and not key.startswith(("text_model.", "text_projection.")):
        return f"text_model.{key}"  # newer versions of transformers
    return key


def current_vae_name(key: str) -> str:
    """The name that diffusers gives a VAE's tensor today."""
    if ".mid_block.attentions.0." not in key:
        return key
    start, _, ending = key.rpartition(".")  # diffusers until 2023
    start, _, layer = start.rpartition(".")
    return f"{start}.{_OLD_ATTENTION[layer]}.{ending}" if layer in _OLD_ATTENTION else key


def _check_remaining_in_folder(where: str, part: str, rest: list[str]) -> None:
    unknown = [key for key in rest if not dress.without_effect(key)]
    if part == "text_encoder":  # may include a projection, which only the second one needs
        unknown = [key for key in unknown if key != "text_projection.weight"]
    if unknown:
        raise ModelError(
            f"{where} is of a kind that is not known: it has {unknown[0]}{_more(unknown)}, which SDXL's "
            f"{PARTS[part]} has not; choose an SDXL checkpoint."
        )


def compare(name: str, part: str, wanted: expected_tensors.Shapes, found: Mapping[str, Tensor]) -> None:
    """Raises `ModelError` if tensors are missing or have the wrong shape. `part`: display name."""
    missing = [key for key in wanted if key not in found]
    if missing:
        raise ModelError(
            f"{name} is incomplete: its {part} lacks {missing[0]}{_more(missing)}; get the complete file."
        )
    mismatched = [key for key, shape in wanted.items() if not _fits(key, found[key].shape, shape)]
    if mismatched:
        here, right = (
            " x ".join(map(str, each)) for each in (found[mismatched[0]].shape, wanted[mismatched[0]])
        )
        raise ModelError(
            f"{name} does not fit together: in its {part}, {mismatched[0]} is {here or '1'} instead of "
            f"{right}"
            f"{_more(mismatched, ' too')}; get another version of it."
        )


def _fits(key: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if ".mid.attn_1." in key or ".mid_block.attentions.0." in key:
        return original_names.same_weights(found, wanted)
    return found == wanted


def _more(keys: list[str], ending: str = "") -> str:
    return f" (and {len(keys) - 1} more{ending})" if len(keys) > 1 else ""


def _check_remaining(name: str, rest: Iterable[str], header: Header, refiner: bool) -> tuple[str, ...]:
    """Notes about tensors that belong to no part. Raises `ModelError` if they may be significant."""
    groups: dict[str, list[str]] = defaultdict(list)
    prefixes = {prefix: PARTS[part] for part, prefix in single_file_config.prefixes(refiner).items()}
    for key in rest:
        if dress.without_effect(key):
            continue
        for prefix, part in prefixes.items():
            if key.startswith(prefix):
                raise ModelError(
                    f"{name} is of a kind that is not known: its {part} has {key}, which SDXL's has not; "
                    "choose an SDXL checkpoint."
                )
        groups[key.partition(".")[0]].append(key)
    for keys in groups.values():
        if all(math.prod(header.tensors[key].shape) <= MARK_SIZE for key in keys):
            raise ModelError(
                f"{name} has the unknown marker {keys[0]}{_more(keys)}, which may mean that it needs other "
                "settings than SDXL; get another version of it."
            )
    if not groups:
        return ()
    shown = ", ".join(f"{keys[0]}{_more(keys)}" for keys in list(groups.values())[:3])
    return (f"{name} also contains other weights, which are ignored: {shown}.",)
