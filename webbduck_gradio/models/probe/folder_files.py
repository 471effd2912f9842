"""Finds the weight files of each part of a diffusers folder and checks that they are complete."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ModelError, UnreadableModelError
from ...storage.reading import parse_json, read_regular
from .safetensors_header import PICKLE_ENDINGS, PICKLE_PART_REASON

_STEMS = ("diffusion_pytorch_model", "model")
_STEMS_OF = {
    "unet": _STEMS[:1],
    "vae": _STEMS[:1],
    "text_encoder": _STEMS[1:],
    "text_encoder_2": _STEMS[1:],
}
"""The only file stems that diffusers and transformers look for."""
VARIANTS = ("fp16", "bf16", "fp32", "non_ema")
"""Variants used if there are no plain weights, in order of preference."""


class Weights(NamedTuple):
    """`files`: one file, or the shards of an index; `variant`: 'fp16' for `model.fp16.safetensors`."""

    files: tuple[Path, ...]
    variant: str | None


def weights_of(part: Path, owner: str) -> Weights:
    """The weights in the folder `part`, chosen as diffusers and transformers do.

    Raises `ModelError` naming the file that is missing or broken; `owner`: the checkpoint's name.
    """
    where = f"{owner}/{part.name}"
    names = {file.name for file in part.glob("*")}
    stems = _STEMS_OF.get(part.name, _STEMS)
    stem = next((stem for stem in stems if any(_belongs(stem, name) for name in names)), None)
    if stem is None:
        pickles = sorted(name for name in names if Path(name).suffix in PICKLE_ENDINGS)
        if pickles:
            raise ModelError(f"{where}/{pickles[0]} {PICKLE_PART_REASON}.")
        raise ModelError(f"{owner} has no weights in {part.name}; copy the checkpoint folder again.")
    for variant in (None, *_variants(stem, names)):
        whole = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
        index = f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.safetensors.index.json"
        # diffusers prefers an index to a single file, transformers the single file.
        if index in names and not (stem == "model" and whole in names):
            return Weights(_shards(part, index, owner), variant)
        if whole in names:
            return Weights((part / whole,), variant)
    shard = next(name for name in sorted(names) if _belongs(stem, name))
    if shard.startswith(f"{stem}.safetensors.index."):
        raise ModelError(
            f"{where}/{shard} lists weights that do not exist; copy the checkpoint folder again."
        )
    raise ModelError(
        f"{where} has {shard} but no {stem}.safetensors.index.json, the index of its shards; "
        "copy the checkpoint folder again."
    )


def _belongs(stem: str, name: str) -> bool:
    rest = name.removeprefix(stem)
    return rest != name and rest[:1] in (".", "-") and ".safetensors" in rest


def _variants(stem: str, names: set[str]) -> list[str]:
    found = set()
    for name in names:
        whole = re.fullmatch(rf"{stem}\.(\w+)\.safetensors", name)
        index = re.fullmatch(rf"{stem}\.safetensors\.index\.(\w+)\.json", name)
        if match := whole or index:
            found.add(match[1])
    return sorted(found, key=lambda each: (VARIANTS.index(each) if each in VARIANTS else 9, each))


def _shards(part: Path, index: str, owner: str) -> tuple[Path, ...]:
    where = f"{owner}/{part.name}"
    table = read_json(part / index, where).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(file, str) for file in table.values()):
        raise ModelError(f"{where}/{index} has no valid weight_map; copy it again.")
    files = sorted(set(table.values()))
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ModelError(f"{where}/{index} lists {file[:60]!r}, which is not a file name; copy it again.")
        if not (part / file).is_file():
            raise ModelError(
                f"{where}/{file} is missing ({index} lists it); copy the checkpoint folder again."
            )
    return tuple(part / file for file in files)


def weight_files(part: Path) -> list[Path]:
    """The safetensors files of a part; [] if they are incomplete."""
    try:
        return list(weights_of(part, part.parent.name).files)
    except ModelError:
        return []


def variant(folder: Path, part: str = "unet") -> str | None:
    """'fp16' if a part's weights exist only as `*.fp16.safetensors`; None if they are plain.

    Raises `ModelError`.
    """
    return weights_of(folder / part, folder.name).variant


def read_json(path: Path, owner: str) -> dict[str, Any]:
    """Read a JSON object from `path`. Raises `ModelError` naming `owner` and the file."""
    try:
        value = parse_json(read_regular(path))
    except OSError as error:
        reason = (error.strerror or error.__class__.__name__).lower()
        message = f"{owner}: {path.name} cannot be read ({reason})."
        # A missing file is a lasting error, others may be temporary.
        is_lasting = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL) and not path.is_symlink()
        raise (ModelError(message) if is_lasting else UnreadableModelError(message, reason)) from None
    except ValueError as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ModelError(f"{owner}: {path.name} is not valid JSON{line}.") from None
    if not isinstance(value, dict):
        raise ModelError(f"{owner}: {path.name} must contain a JSON object.")
    return value
