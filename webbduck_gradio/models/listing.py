"""Models that are found anew whenever they are asked for: upscalers, captioners and detectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ..errors import ModelError
from ..settings import Settings
from .catalog.lookup import find, unknown
from .foreign.folders import ModelFolder
from .scan import Folders, is_text

BUNDLED = "webbduck-starter"
"""How the names of the bundled models begin."""


class _Listed(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def unusable(self) -> str | None: ...


Model = TypeVar("Model", bound=_Listed)
Search = Callable[[Settings, Folders, Sequence[ModelFolder]], tuple[Model, ...]]


def bundled_last(models: Iterable[Model]) -> tuple[Model, ...]:
    """The models in their order, but what somebody put there is taken before what came with the studio, and
    other programs' models last, so that none of them is taken unasked."""
    return tuple(sorted(models, key=lambda each: (_is_foreign(each), each.name.startswith(BUNDLED))))


def _is_foreign(model: _Listed) -> bool:
    return bool(getattr(model, "origin", ""))


def model_folders(root: Path, known: Folders) -> dict[str, Path]:
    """The folders directly below `root` that hold a model, by name. What cannot be read is noted in
    `known`."""
    listed = sorted((known.names(root) or {}).items())
    return {name: Path(entry.path) for name, entry in listed
            if is_text(name) and (Path(entry.path) / "config.json").is_file()}  # fmt: skip


class Listing(Generic[Model]):
    """Models of one kind as they are now; what cannot be read now stays as it was. Safe for threads."""

    def __init__(
        self,
        kind: str,
        settings: Settings,
        search: Search[Model],
        foreign: Callable[[], Sequence[ModelFolder]] = tuple,
    ):
        """`kind`: the word for one of them. `search` notes in the folders what cannot be read.
        `foreign`: other programs' folders as they are now."""
        self._kind, self._settings, self._search, self._foreign = kind, settings, search, foreign
        self._lock = threading.Lock()
        self._folders = Folders()
        self._models: tuple[Model, ...] = ()

    def models(self) -> tuple[Model, ...]:
        with self._lock:
            known = self._folders.look()
            now = {each.name: each for each in self._search(self._settings, known, self._foreign())}
            usable = {each.name: each for each in self._models if not each.unusable}
            for name, each in now.items():
                if each.unusable and name in usable and known.is_unread(each.path):
                    now[name] = usable[name]
            now |= {each.name: each for each in known.kept(self._models, now)}
            self._models = bundled_last(now.values())
            return self._models

    def usable(self) -> Model | None:
        """The first that can be used, of our own ones."""
        return next((each for each in self.models() if not each.unusable and not _is_foreign(each)), None)

    def get(self, name: str) -> Model:
        """Found by `lookup.find`. Raises `NotFoundError`, or `ModelError` with why it cannot be used."""
        models = self.models()
        model = find(name, models).model
        if model is None:
            names = ", ".join(each.name for each in models if not each.unusable) or "none"
            raise unknown(name, self._kind, models, f"; there are: {names}")
        if model.unusable:
            raise ModelError(model.unusable)
        return model

    def look(self) -> tuple[Folders, tuple[Model, ...]]:
        """Look again: what was noted of the folders, and the models."""
        models = self.models()
        return self._folders, models
