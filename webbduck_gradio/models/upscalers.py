"""Upscalers: models that make a picture larger."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, UnreadableModelError
from ..request.hires_fields import LANCZOS as LANCZOS
from ..settings import Settings
from .listing import bundled_last
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .scan import Folders, Unread, candidates

MAX_UPSCALED_PIXELS = 8192 * 8192


@dataclass(frozen=True)
class Upscaler:
    """`unusable`: the reason in one sentence, None when it can be used."""

    name: str
    path: Path
    size_bytes: int
    unusable: str | None


def find_upscalers(settings: Settings, known: Folders) -> tuple[Upscaler, ...]:
    """By name, the bundled one last: what somebody put there is taken before it. What cannot be read is noted
    in `known`."""
    found = [
        Upscaler(each.name, each.path, each.size, _why_broken(each.path, known))
        for each in candidates(settings.checkpoints / "upscale", folders=False, known=known)
    ]
    return bundled_last(found)


def _why_broken(path: Path, known: Folders) -> str | None:
    if path.suffix.lower() in PICKLE_ENDINGS:
        return f"{path.name} {PICKLE_REASON}."
    try:
        header = read_header(path)
    except UnreadableModelError as error:
        known.unread.append(Unread(path, f"cannot be read ({error.why})"))
        return str(error)
    except ModelError as error:
        return str(error)
    if is_compact({name: tensor.shape for name, tensor in header.tensors.items()}):
        return None
    return None if has_spandrel() else f"{path.name} is of another kind than Compact. {NEEDS_SPANDREL}"


NEEDS_SPANDREL = (
    "Other upscaling models than Compact ones need a package; add it with "
    f"`{sys.executable} -m pip install --no-deps spandrel==0.4.2 einops==0.8.2`."
)
"""Without --no-deps pip would fetch torchvision as well, which nothing here needs."""


def has_spandrel() -> bool:
    """Whether the package for upscaling models of all kinds is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("spandrel", "einops"))


def bare_names(names: Iterable[str]) -> list[str]:
    """Names of weights without what the usual training programs put before them."""
    names = list(names)
    for wrapper in ("params_ema.", "params."):
        if names and all(name.startswith(wrapper) for name in names):
            return [name.removeprefix(wrapper) for name in names]
    return names


def is_compact(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether weights of these names and shapes are a network that `core.realesrgan_compact` builds."""
    found = dict(zip(bare_names(shapes), shapes.values(), strict=True))
    last = sum(name.endswith(".bias") for name in found) * 2 - 2  # every second layer is an activation
    if last < 2:
        return False
    wanted = {f"body.{index}.weight" for index in range(last + 1)}
    wanted |= {f"body.{index}.bias" for index in range(0, last + 1, 2)}
    if found.keys() != wanted or len(found["body.0.weight"]) != 4:
        return False
    width, outputs = found["body.0.weight"][0], found[f"body.{last}.weight"][0]
    scale = math.isqrt(outputs // 3)
    layers = [(width, 3, 3, 3), *[(width, width, 3, 3)] * (last // 2 - 1), (3 * scale * scale, width, 3, 3)]
    return [found[f"body.{index}.weight"] for index in range(0, last + 1, 2)] == layers and all(
        found[f"body.{index}.weight"] == (width,) for index in range(1, last, 2)
    )
