"""Facts that the index stores per image, from the cheapest source: meta.json, then the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import StorageError
from ...request.modes import mode_of
from ...request.samplers import joined_of
from ...storage.pixel_budget import LONG_PATIENCE
from .. import metadata, run_layout
from ..metadata.other_tools import values
from .search import exact_word


@dataclass(frozen=True)
class ImageFacts:
    """Sizes in pixels; `texts` by the columns of `search.COLUMNS`; `problem` is a sentence."""

    width: int | None = None
    height: int | None = None
    seed: int | None = None
    problem: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[tuple[str, str]] = frozenset()
    """(column, name) of checkpoints, LoRAs and the sampler used."""


def read(path: Path, meta: Mapping[str, Any], name: str) -> ImageFacts:
    """Facts of an image file. Never raises, whatever is in the file or in `meta`, the folder's meta.json."""
    recorded = run_layout.is_recorded(meta, name)
    if recorded is not None:
        return _from_meta(meta, recorded, "webbduck")
    first_version = "images" not in meta and isinstance(meta.get("prompt"), str)
    # The first version wrote PNG only: 0.jpg beside 0.png is from another program.
    own = path.suffix.lower() == ".png" or not path.with_suffix(".png").exists()
    if first_version and own and Path(name).stem.removesuffix("_upscaled").isdecimal():
        # The first version recorded only the batch's seed, which is that of the first image.
        return _from_meta(meta, meta if Path(name).stem == "0" else {**meta, "seed": None}, "webbduck v1")
    try:
        found = metadata.read(path, LONG_PATIENCE)
    except StorageError as error:
        return ImageFacts(problem=str(error), texts={"kind": "broken"})
    settings = found["settings"]
    names = _names(settings)
    return ImageFacts(
        width=found["width"],
        height=found["height"],
        seed=_int64(settings.get("seed")),
        problem=found["problems"][0] if found["problems"] else None,
        texts=_texts(
            settings, names, found["tool"] or "", found["width"], found["height"], settings.get("seed")
        ),
        names=_pairs(names),
    )


def _from_meta(meta: Mapping[str, Any], one: Mapping[str, Any], tool: str) -> ImageFacts:
    width, height = _int64(one.get("width")), _int64(one.get("height"))
    seed = _int64(one.get("seed"))
    request = meta.get("request")
    settings = {**meta, **request} if isinstance(request, dict) else dict(meta)
    drawn = one.get("drawn")
    settings |= drawn if isinstance(drawn, dict) else {}
    names = _names(settings)
    return ImageFacts(
        width, height, seed, None, _texts(settings, names, tool, width, height, seed), _pairs(names)
    )


def _names(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the models and the sampler used, by column."""
    models = [_text(settings.get(key)) for key in ("base_model", "second_pass_model")]
    samplers = [_text(joined_of(settings))]
    return {
        "model": [name for name in models if name],
        "lora": _lora_names(settings.get("loras")),
        "sampler": [name for name in samplers if name],
    }


def _pairs(names: Mapping[str, list[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((column, name) for column, found in names.items() for name in found)


def _texts(
    settings: Mapping[str, Any],
    names: Mapping[str, list[str]],
    tool: str,
    width: int | None,
    height: int | None,
    seed: object,
) -> dict[str, str]:
    size = f"{width}x{height} {width} {height}" if width and height else ""
    return {
        "prompt": f"{_text(settings.get('prompt'))} {_text(settings.get('prompt_2'))}".strip(),
        "negative": _text(settings.get("negative_prompt")),
        **{
            column: " ".join(f"{name} {exact_word(name)}" for name in found)
            for column, found in names.items()
        },
        "seed": "" if seed is None else str(seed),
        "size": size,
        "kind": _kind(settings),
        "tool": tool,
    }


def _kind(settings: Mapping[str, Any]) -> str:
    """The job's kind and mode, as search words for `kind:` and `is:`."""
    mode = mode_of(settings).replace("text2img", "txt2img")  # as searches spell it
    if isinstance(settings.get("mode"), str):  # recorded by the first version
        mode = settings["mode"]
    two_pass = "twopass" if settings.get("second_pass_model") not in (None, "", "None") else ""
    return " ".join(word for word in (_text(settings.get("kind")), mode, two_pass) if word)


def _lora_names(loras: object) -> list[str]:
    names = []
    for lora in loras if isinstance(loras, (list, tuple)) else ():
        name = (lora.get("name") or lora.get("model")) if isinstance(lora, dict) else lora
        if isinstance(name, str):
            names.append(values.text(name))
    return names


def _text(value: object) -> str:
    return values.text(value) if value != "None" else ""


def _int64(value: object) -> int | None:
    """`value` if it is an integer that SQLite can store."""
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and isinstance(value, int) and abs(value) < 2**63 else None
