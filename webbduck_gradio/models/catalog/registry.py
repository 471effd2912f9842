"""The catalog of installed checkpoints, LoRAs and other models."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ...errors import ModelError, NotFoundError
from ...request.model_fields import OWN_VAE
from ...settings import Settings
from ..embeddings import NO_EMBEDDINGS, Embedding, EmbeddingIndex
from ..foreign.candidates import by_bare_name
from ..scan import misnamed_sentences, stamps_below, unreadable_names
from ..wildcards import ENDINGS
from . import unreadable
from .catalog_db import CatalogCache
from .edit_schemas import check_seen, checked_defaults, checked_lora_changes
from .embedding_entries import Hashed, list_embeddings
from .entries import Checkpoint, Lora
from .hashes import Hashes
from .lookup import Found, Models, Way, find, quoted, unknown
from .model_lists import OTHERS, ModelLists
from .other_models import OtherModel
from .probe_cache import ProbeCache

M = TypeVar("M", bound=Hashed)

__all__ = ["STARTER", "Checkpoint", "Lora", "Registry"]

STARTER = "webbduck-starter"
"""The bundled checkpoint; user checkpoints take precedence as default."""


class Registry(ModelLists):
    """The installed models. Scans the folders on creation and with `refresh`. Thread-safe."""

    def __init__(self, settings: Settings):
        self._memory = CatalogCache(settings.data_dir / "catalog.sqlite3")
        super().__init__(settings, Hashes(self._memory))
        self.version = 0
        self.problems: tuple[str, ...] = ()
        self.unsettled = False
        """Whether files are still being written, so that another scan is needed soon."""
        self._lock = threading.Lock()
        self.hashes.found = self._hashes_found
        self._probe_cache = ProbeCache(self._memory)
        self._embeddings: dict[str, Embedding] = {}
        self._sort()
        self.embedding_index: EmbeddingIndex = NO_EMBEDDINGS
        """All embeddings, to find those that a prompt names."""
        self._rest: object = None
        self.refresh()

    def refresh(self, patient: bool = False) -> bool:
        """Scan the folders, reading only changed files; returns True and increments `version` on changes.

        With `patient`, files that are still being written keep their old entry, or get none, until they are
        complete.
        """
        with self._lock:
            problems: list[str] = []
            scan = self._probe_cache.start_scan(patient)
            self.unread.look()
            problems += self._look_at_trees()
            checkpoints, loras = self._list_models(scan, problems)
            embeddings = list_embeddings(
                self.settings,
                self.foreign_folders("embedding"),
                loras.values(),
                scan,
                self._embeddings,
                self.unread,
                problems,
            )
            embeddings = {name: self.hashes.filled(each) for name, each in embeddings.items()}
            scan.keep(self.unread)
            self._probe_cache.finish(scan)
            self.unread.unread += scan.unread
            looks = [self.unread]
            others: list[OtherModel] = []
            for kind in (self._upscalers, self._captioners, self._detectors, self._vaes):
                folders, models = kind.look()
                looks.append(folders)
                others += models
            everything: list[Hashed] = [*checkpoints.values(), *loras.values(), *embeddings.values()]
            paths = [each.path for each in (*others, *everything)]
            unread = [each for folders in looks for each in folders.unread]
            problems += unreadable.sentences(unread, paths, self.settings, self.foreign_folders())
            misnamed = [each for folders in looks for each in folders.misnamed]
            roots = (each.path for each in self.foreign_folders())
            problems += misnamed_sentences(misnamed, (self.settings.checkpoints, self.settings.loras, *roots))
            problems += unreadable_names(self.settings.wildcards, ENDINGS)
            problems += unreadable_names(self.settings.tags, (".csv",))
            problems += self.styles.look() + self.wildcard_folder.problems()
            self.unsettled = scan.unsettled
            stamps = stamps_below(
                *(self.settings.checkpoints / each for each in OTHERS),
                self.settings.wildcards,
                *(each.path for each in self.foreign_folders("wildcards")),
                self.settings.tags,
            )
            missing = (self._checkpoint_notes.missing, self._lora_notes.missing)
            rest = (stamps, missing, embeddings, self.styles.stamps, others, self.trees)
            state = (checkpoints, loras, tuple(problems), rest)
            changed = state != (self._checkpoints, self._loras, self.problems, self._rest)
            if changed or self.version == 0:
                self._checkpoints, self._loras, self.problems, self._rest = state
                self._embeddings = embeddings
                self._sort()
                self.embedding_index = EmbeddingIndex(
                    sorted(self.embeddings(), key=lambda each: bool(each.origin))
                )
                self.version += 1
                # Our own first: the others may be many.
                for each in sorted(everything, key=lambda each: bool(each.origin)):
                    if each.hash is None and not each.unusable and _is_file(each):
                        self.hashes.schedule(each.path, each.stamp)
            return changed

    def _hashes_found(self) -> None:
        """Add newly computed hashes to the entries, and increment `version` for open pages."""
        with self._lock:
            for name, model in self._checkpoints.items():
                self._checkpoints[name] = self.hashes.filled(model)
            for name, lora in self._loras.items():
                self._loras[name] = self.hashes.filled(lora)
            for name, embedding in self._embeddings.items():
                self._embeddings[name] = self.hashes.filled(embedding)
            self._sort()
            self.version += 1

    def _sort(self) -> None:
        self._sorted_checkpoints = _sorted(self._checkpoints)
        self._sorted_loras = _sorted(self._loras)
        self._sorted_embeddings = _sorted(self._embeddings)

    @property
    def headers_read(self) -> int:
        """Number of files probed since the start."""
        return self._probe_cache.headers_read

    @property
    def missing_loras(self) -> tuple[str, ...]:
        """Entries of loras.json without a file."""
        return self._lora_notes.missing

    @property
    def missing_checkpoints(self) -> tuple[str, ...]:
        """Entries of models.json without a file."""
        return self._checkpoint_notes.missing

    def edit_lora(self, name: str, changes: Mapping[str, Any], seen: Mapping[str, Any] | None = None) -> None:
        """Save the user's settings of a LoRA to loras.json: trigger, weight, description, tags, favourite,
        preview (id of an image). None restores the file's value. `seen`: the values that the user saw; if one
        has changed since, nothing is saved.

        Raises `NotFoundError`, `EditConflictError`, `RequestError` for an invalid value, and `ModelError` if
        saving fails.
        """
        lora = self._known_lora(name)
        checked = checked_lora_changes(changes)
        with self._lock:
            self._lora_notes.edit(name, self._file_of(lora), checked, seen)
        self.refresh(patient=True)

    def edit_checkpoint(
        self, name: str, defaults: Mapping[str, Any], seen: Mapping[str, Any] | None = None
    ) -> None:
        """Save a checkpoint's defaults to models.json; None restores the suggested value. `seen`: the
        defaults that the user saw.

        Raises the same errors as `edit_lora`.
        """
        known = self._checkpoints.get(name)
        if known is None:
            raise NotFoundError(f"There is no checkpoint named {quoted(name)}.")
        checked = checked_defaults(known.suggested or known.defaults, defaults)
        with self._lock:
            self._checkpoint_notes.current()
            noted = self._checkpoint_notes.of(name).get("defaults")
            check_seen(name, known.suggested or known.defaults, noted, checked, seen or {})
            merged = {**(noted if isinstance(noted, dict) else {}), **checked}
            self._checkpoint_notes.edit(name, None, {"defaults": merged})
        self.refresh(patient=True)

    def lora_note(self, name: str) -> dict[str, Any]:
        """A LoRA's raw entry in loras.json."""
        return dict(self._lora_notes.of(name, self._file_of(self._known_lora(name))))

    def _known_lora(self, name: str) -> Lora:
        lora = self._loras.get(name) if isinstance(name, str) else None
        if lora is None:
            raise unknown(str(name), "LoRA", self.loras(), self._unseen())
        return lora

    def any_lora(self, name: str) -> Lora:
        """A LoRA by name, including unusable ones. Raises `NotFoundError`."""
        return self._known_lora(name)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All checkpoints, including unusable ones, sorted by name."""
        return self._sorted_checkpoints

    def checkpoint(self, name: str) -> Checkpoint:
        """A checkpoint by name, including unusable ones. Raises `NotFoundError`."""
        checkpoint = self._checkpoints.get(name)
        if checkpoint is None:
            raise unknown(name, "checkpoint", self.checkpoints(), self.alternatives() + self._unseen())
        return checkpoint

    def usable_checkpoint(self, name: str) -> Checkpoint:
        """As `checkpoint`, but raises `ModelError` with the reason if it is unusable."""
        checkpoint = self.checkpoint(name)
        if checkpoint.unusable:
            raise ModelError(checkpoint.unusable)
        return checkpoint

    def alternatives(self) -> str:
        """End of an error message about a missing checkpoint: the available ones, or where to put one."""
        usable = [each.name for each in self.checkpoints() if not each.unusable]
        if not usable:
            return "; put one into checkpoint/sdxl"
        return f"; there {'is' if len(usable) == 1 else 'are'}: " + ", ".join(usable[:8])

    def _unseen(self) -> str:
        """Addition to an error message about a missing model while some folder cannot be read."""
        said = [each for each in self.problems if each.endswith("when it is back.")]
        return "".join(f". {each.removesuffix('.')}" for each in said[:2])

    def default_checkpoint(self) -> Checkpoint | None:
        """The first usable base checkpoint, or None: one that has a VAE, or a default for it, before others,
        the user's own before those of other programs' folders, and the bundled one last."""
        usable = [
            each
            for each in self.checkpoints()
            if not each.unusable and each.arch not in ("sdxl-refiner", "sdxl-inpaint")
        ]

        def is_last(each: Checkpoint) -> tuple[bool, bool, bool, bool]:
            has_vae = each.has_vae or each.defaults.vae != OWN_VAE
            return not has_vae, each.name == STARTER, bool(each.origin), each.arch != "sdxl"

        return min(usable, key=is_last, default=None)

    def loras(self, base_model: str | None = None) -> tuple[Lora, ...]:
        """All LoRAs sorted by name; with `base_model`, the usable ones compatible with that checkpoint."""
        loras = self._sorted_loras
        if base_model is None:
            return loras
        checkpoint = self.checkpoint_called(base_model)
        return tuple(lora for lora in loras if not lora.unusable and lora.is_compatible_with(checkpoint))

    def lora(self, name: str) -> Lora:
        """A LoRA by name. Raises `NotFoundError`, or `ModelError` with the reason if it is unusable."""
        lora = self._known_lora(name)
        if lora.unusable:
            raise ModelError(lora.unusable)
        return lora

    def embeddings(self) -> tuple[Embedding, ...]:
        """All embeddings, including unusable ones, sorted by name."""
        return self._sorted_embeddings

    def usable_embedding(self, name: str) -> Embedding:
        """An embedding by name. Raises the same errors as `lora`."""
        embedding = self._embeddings.get(name)
        if embedding is None:
            raise unknown(name, "embedding", self.embeddings(), self._unseen())
        if embedding.unusable:
            raise ModelError(embedding.unusable)
        return embedding

    def has_checkpoint(self, name: str) -> bool:
        return name in self._checkpoints

    def has_lora(self, name: str) -> bool:
        """Whether a LoRA has exactly this name."""
        return name in self._loras

    def lora_called(self, name: str) -> tuple[Lora, Way]:
        """The LoRA for a name in any spelling, and how it was found (`lookup.find`).

        Raises the same errors as `lora`.
        """
        found = Found(self._loras[name], "name") if name in self._loras else find(name, self.loras())
        return self.lora(found.model.name if found.model else name), found.by

    def checkpoint_called(self, name: str) -> Checkpoint:
        """The checkpoint for a name in any spelling. Raises the same errors as `usable_checkpoint`."""
        found = None if name in self._checkpoints else find(name, self.checkpoints()).model
        return self.usable_checkpoint(found.name if found else name)

    def second_pass_models(self) -> tuple[Checkpoint, ...]:
        """Checkpoints that can be used for a second pass."""
        usable = (each for each in self.checkpoints() if not each.unusable)
        return tuple(each for each in usable if each.arch != "sdxl-inpaint")

    def known_hashes(self, base_model: str, loras: Iterable[str], vae: str = OWN_VAE) -> dict[str, Any]:
        """`model_hash` and `vae_hash` (AutoV2) and `lora_hashes` (AutoV3) for image metadata, as far as
        known."""
        model = self._checkpoints.get(base_model)
        vae_hash = next((each.hash for each in self.vaes() if each.name == vae), None) if vae else None
        known = {name: self._loras[name].hash for name in loras if name in self._loras}
        hashes = {name: known_hash for name, known_hash in known.items() if known_hash}
        return (
            ({"model_hash": model.hash} if model and model.hash else {})
            | ({"lora_hashes": hashes} if hashes else {})
            | ({"vae_hash": vae_hash} if vae_hash else {})
        )


def _sorted(models: Mapping[str, M]) -> Models[M]:
    return Models(sorted(models.values(), key=by_bare_name))


def _is_file(model: Hashed) -> bool:
    return not (isinstance(model, Checkpoint) and model.layout == "diffusers") and model.stamp != "gone"
