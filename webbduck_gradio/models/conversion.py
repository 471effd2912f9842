"""Which pickles can be converted to safetensors, where the result goes, and whether it can be used.

The conversion itself is in `core/pickles`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import ModelError, NotFoundError, RequestError
from ..settings import Settings
from .catalog.lookup import quoted
from .probe.checkpoint import SUPPORTED, inspect_file
from .probe.converted import CONVERTED_AT, SOURCE, SOURCE_BYTES, is_converted, source_of
from .probe.embedding import inspect_embedding
from .probe.lora import NAMES, inspect_lora
from .probe.safetensors_header import PICKLE_ENDINGS, read_header
from .probe.vae import probe_file
from .upscalers import NEEDS_SPANDREL, has_spandrel, is_compact

if TYPE_CHECKING:
    from .catalog.registry import Registry

Kind = Literal["checkpoint", "lora", "vae", "embedding", "upscale"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RESERVE = 64 * 2**20
"""Bytes that stay free on the disk."""

_LISTS: Mapping[Kind, Callable[[Registry], Iterable[Any]]] = {
    "checkpoint": lambda registry: registry.checkpoints(),
    "lora": lambda registry: registry.loras(),
    "vae": lambda registry: registry.vaes(),
    "embedding": lambda registry: registry.embeddings(),
    "upscale": lambda registry: registry.upscalers(),
}
_FOLDERS: Mapping[Kind, Callable[[Settings], Path]] = {
    "checkpoint": lambda settings: settings.checkpoints / "sdxl",
    "lora": lambda settings: settings.loras,
    "vae": lambda settings: settings.checkpoints / "vae",
    "embedding": lambda settings: settings.checkpoints / "embedding",
    "upscale": lambda settings: settings.checkpoints / "upscale",
}


@dataclass(frozen=True)
class Pickle:
    """A pickle among the models. `target`: the file that it is converted to; `done`: whether that is there,
    made from it as it is now."""

    kind: Kind
    name: str
    path: Path
    target: Path
    done: bool

    @property
    def metadata(self) -> dict[str, str]:
        """What the converted file says of it. Raises `OSError`."""
        return {
            SOURCE: self.path.name,
            SOURCE_BYTES: str(self.path.stat().st_size),
            CONVERTED_AT: datetime.now(UTC).isoformat(timespec="seconds"),
        }


def pickles(registry: Registry) -> list[Pickle]:
    """All that the catalog lists."""
    return [
        _pickle(registry.settings, kind, model.name, model.path)
        for kind, models in _LISTS.items()
        for model in models(registry)
        if model.unusable and model.path.suffix.lower() in PICKLE_ENDINGS and not model.path.is_dir()
    ]


def find_pickle(registry: Registry, kind: object, name: object) -> Pickle:
    """The pickle of this kind and name. Raises `RequestError`."""
    if kind not in KINDS:
        raise RequestError(f"kind must be one of: {', '.join(KINDS)}.", field="kind")
    if not isinstance(name, str):
        raise RequestError("name must be a name.", field="name")
    found = next((each for each in pickles(registry) if (each.kind, each.name) == (kind, name)), None)
    if found is None:
        raise NotFoundError(f"There is no pickle of the kind {kind} named {quoted(name)}.")
    return found


def result_of(registry: Registry, kind: Kind, name: str) -> str | None:
    """Name of the file that the pickle of this name was converted to, if the catalog lists one."""
    source = Path(name).name
    found = (model.path for model in _LISTS[kind](registry) if source_of(model.path) == source)
    return next((path.name for path in found), None)


def _pickle(settings: Settings, kind: Kind, name: str, path: Path) -> Pickle:
    """The result goes beside the pickle, where that is in a folder of ours; else into our own folder of its
    kind, since nothing is written into another program's."""
    own = (settings.loras if kind == "lora" else settings.checkpoints).resolve()
    folder = path.parent if path.parent.resolve().is_relative_to(own) else _FOLDERS[kind](settings)
    target = folder / f"{path.stem}.safetensors"
    return Pickle(kind, name, path, target, is_converted(path, target))


def check(pickle: Pickle) -> None:
    """Raises `RequestError` where the name is taken, or the disk too full."""
    if pickle.done:
        raise RequestError(f"{pickle.path.name} has been converted already, to {pickle.target.name}.")
    if pickle.target.is_symlink() or pickle.target.exists():
        raise RequestError(
            f"There is a {pickle.target.name} already, which is not replaced; rename one of the two."
        )
    try:
        size = pickle.path.stat().st_size
        place = next(each for each in (pickle.target.parent, *pickle.target.parents) if each.is_dir())
        free = shutil.disk_usage(place).free
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise RequestError(f"{pickle.path.name} cannot be read ({reason}).") from None
    if free < size + RESERVE:
        missing = math.ceil((size + RESERVE - free) / 2**20)
        raise RequestError(
            f"The disk has no room for the converted copy of {pickle.path.name}; free {missing:,} MiB."
        )


@dataclass(frozen=True)
class Verdict:
    """Whether a converted file is kept, and why it cannot be used here, None if it can."""

    keep: bool
    reason: str | None = None


def verdict(kind: Kind, path: Path) -> Verdict:
    """Judge a converted file by the catalog's own probe. One for another base model is kept, what is no model
    of this kind is not."""
    try:
        return _PROBES[kind](path)
    except ModelError as error:
        return Verdict(False, str(error))


def _of_checkpoint(path: Path) -> Verdict:
    return _by_architecture(path, inspect_file(path).arch, SUPPORTED)


def _of_lora(path: Path) -> Verdict:
    fault = inspect_lora(path).fault
    return Verdict(False, f"{path.name} {fault}.") if fault else Verdict(True)


def _of_embedding(path: Path) -> Verdict:
    found = inspect_embedding(path)
    if found.fault:
        return Verdict(False, f"{path.name} {found.fault}.")
    return _by_architecture(path, found.arch, {"sdxl"})


def _by_architecture(path: Path, arch: str, usable: Iterable[str]) -> Verdict:
    if arch in usable:
        return Verdict(True)
    if arch not in NAMES:
        return Verdict(False, f"{path.name} is made for an unknown model.")
    return Verdict(True, f"{path.name} is made for {NAMES[arch]}, not for SDXL.")


def _of_vae(path: Path) -> Verdict:
    probe_file(path)
    return Verdict(True)


def _of_upscaler(path: Path) -> Verdict:
    shapes = {name: tensor.shape for name, tensor in read_header(path).tensors.items()}
    usable = is_compact(shapes) or has_spandrel()
    return Verdict(True, None if usable else f"{path.name} is of another kind than Compact. {NEEDS_SPANDREL}")


_PROBES: Mapping[Kind, Callable[[Path], Verdict]] = {
    "checkpoint": _of_checkpoint,
    "lora": _of_lora,
    "embedding": _of_embedding,
    "vae": _of_vae,
    "upscale": _of_upscaler,
}
