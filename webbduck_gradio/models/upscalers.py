"""Upscalers: models that make a picture larger."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, UnreadableModelError
from ..request.hires_fields import LANCZOS as LANCZOS
from ..settings import Settings
from .foreign.candidates import foreign_candidates
from .foreign.folders import ModelFolder
from .listing import bundled_last
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .scan import Candidate, Folders, Unread, candidates

MAX_UPSCALED_PIXELS = 8192 * 8192


@dataclass(frozen=True)
class Upscaler:
    """`unusable`: the reason in one sentence, None when it can be used."""

    name: str
    path: Path
    size_bytes: int
    unusable: str | None
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""


def find_upscalers(
    settings: Settings, known: Folders, foreign: Sequence[ModelFolder] = ()
) -> tuple[Upscaler, ...]:
    """By name, the bundled one last: what somebody put there is taken before it. Then those of other
    programs' folders, which are never taken unasked. What cannot be read is noted in `known`."""
    own = candidates(settings.checkpoints / "upscale", folders=False, known=known)
    found = [
        Upscaler(each.name, each.path, each.size, _why_unusable(each, known), each.origin)
        for each in own + foreign_candidates(foreign, own, known)
    ]
    return bundled_last(found)


def _why_unusable(each: Candidate, known: Folders) -> str | None:
    reason = known.probed(each.path, each.stamp, lambda: _probed(each.path, known))
    if reason == OTHER_KIND:
        return None if has_spandrel() else f"{each.path.name} {OTHER_KIND}. {NEEDS_SPANDREL}"
    return reason


def _probed(path: Path, known: Folders) -> str | None:
    """None for a Compact model, `OTHER_KIND`, or why it cannot be used."""
    if path.suffix.lower() in PICKLE_ENDINGS:
        return f"{path.name} {PICKLE_REASON}."
    try:
        header = read_header(path)
    except UnreadableModelError as error:
        known.unread.append(Unread(path, f"cannot be read ({error.why})"))
        return str(error)
    except ModelError as error:
        return str(error)
    return None if is_compact({name: tensor.shape for name, tensor in header.tensors.items()}) else OTHER_KIND


OTHER_KIND = "is of another kind than Compact"
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
