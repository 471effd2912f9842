"""Which checkpoints and LoRAs there are: our own, other programs' and those of the Hugging Face cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...settings import Settings
from ..foreign.candidates import foreign_candidates
from ..foreign.folders import Kind
from ..hf_cache import hub_checkpoints, hub_loras
from ..probe.checkpoint import CheckpointInfo
from ..probe.lora import EMBEDDING, LoraInfo
from ..scan import Candidate, Folders, candidates
from .config_file import ModelConfigFile
from .defaults import new_checkpoint_entry, new_lora_entry
from .entries import Checkpoint, Lora, checkpoint_entry, lora_entry
from .hashes import Hashes
from .other_models import OtherModels
from .probe_cache import ScanPass

OTHERS = ("upscale", "caption", "detect", "vae", "wildcards", "embedding")
"""Folders in checkpoint/ without checkpoints."""


class _Found(NamedTuple):
    """Candidates by where they lie."""

    own: list[Candidate]
    foreign: list[Candidate]
    hub: list[Candidate]

    @property
    def all(self) -> list[Candidate]:
        return self.own + self.foreign + self.hub


class ModelLists(OtherModels):
    """Base of the registry."""

    def __init__(self, settings: Settings, hashes: Hashes):
        super().__init__(settings, hashes)
        self._checkpoint_notes = ModelConfigFile(
            settings.checkpoints / "sdxl" / "models.json", new_checkpoint_entry
        )
        self._lora_notes = ModelConfigFile(settings.loras / "loras.json", new_lora_entry)
        self.unread = Folders()
        """Folders and files that could not be read in the last scan."""
        self._checkpoints: dict[str, Checkpoint] = {}
        self._loras: dict[str, Lora] = {}

    def _list_models(
        self, scan: ScanPass, problems: list[str]
    ) -> tuple[dict[str, Checkpoint], dict[str, Lora]]:
        checkpoints, loras = self._found_checkpoints(), self._found_loras()
        # A folder of no known layout may hold both: a file is what its header says.
        both = {each.real for each in checkpoints.foreign} & {each.real for each in loras.foreign}
        others: list[str] = []
        listed_loras, taken = self._list_loras(loras, both, scan, others)
        listed_checkpoints = self._list_checkpoints(checkpoints, both & taken, scan, problems)
        problems += others
        return listed_checkpoints, listed_loras

    def _found_checkpoints(self) -> _Found:
        root, unread = self.settings.checkpoints, self.unread
        own = candidates(root / "sdxl", folders=True, known=unread)
        taken = {each.name for each in own}
        for each in candidates(root, folders=True, skip=frozenset({"sdxl", *OTHERS}), known=unread):
            own.append(replace(each, name=f"checkpoint/{each.name}") if each.name in taken else each)
        hub = hub_checkpoints(self.settings.hf_cache, unread)
        foreign = foreign_candidates(self.foreign_folders("checkpoint"), own + hub, unread, folders=True)
        return _Found(own, foreign, hub)

    def _found_loras(self) -> _Found:
        own = candidates(self.settings.loras, folders=False, known=self.unread)
        hub = hub_loras(self.settings.hf_cache, self.unread)
        return _Found(own, foreign_candidates(self.foreign_folders("lora"), own + hub, self.unread), hub)

    def _list_checkpoints(
        self, there: _Found, loras: Collection[str], scan: ScanPass, problems: list[str]
    ) -> dict[str, Checkpoint]:
        """`loras`: real paths of files that are listed as LoRAs."""
        root, notes, unread = self.settings.checkpoints, self._checkpoint_notes, self.unread
        everything = [each for each in there.all if each.real not in loras or not each.origin]
        found = scan.read(everything, self._checkpoints, lambda each: "folder" if each.is_folder else "file")
        listed = {}
        kept = unread.kept(self._checkpoints.values(), {each.name: each for each in everything})
        if not unread.is_unread(root / "sdxl"):
            notes.read(problems)
            present = [
                (each.name, None)
                for each in there.own
                if each.name in found or each.name in self._checkpoints
            ]
            present += [(each.name, None) for each in kept if _is_own(each)]
            renamed = scan.renamed(there.own + there.foreign, self._checkpoints)
            all_seen = self._all_seen(root, "checkpoint")
            notes.sync(present, renamed, problems, all_seen, _elsewhere(there, kept))
        hub = {each.name for each in there.hub}
        for each in everything:
            result = found.get(each.name)
            if isinstance(result, Checkpoint):  # the old entry, until the file is complete
                listed[each.name] = result
            elif isinstance(result, CheckpointInfo | str):
                made = checkpoint_entry(each, result, notes.of(each.name), problems)
                if each.name in hub:
                    made = replace(made, from_hub=True)
                listed[each.name] = self.hashes.filled(made)
        return listed | {each.name: each for each in kept}

    def _list_loras(
        self, there: _Found, both: Collection[str], scan: ScanPass, problems: list[str]
    ) -> tuple[dict[str, Lora], set[str]]:
        """By name, and the real paths of those that are LoRAs. `both`: real paths of files that may be
        checkpoints as well, which are listed only where they are LoRAs."""
        root, notes, unread = self.settings.loras, self._lora_notes, self.unread
        everything = there.all
        found = scan.read(everything, self._loras, lambda each: "lora")
        beside = scan.read_sidecars(everything, notes.path, problems)
        files: dict[str, str | None] = {
            each.name: each.path.relative_to(root).as_posix() for each in there.own
        }
        kept = unread.kept(self._loras.values(), {each.name: each for each in everything})
        if not unread.is_unread(root):
            notes.read(problems)
            own = files | {each.name: self._file_of(each) for each in kept if _is_own(each)}
            present = [(name, file) for name, file in own.items() if name in found or name in self._loras]
            renamed = scan.renamed(there.own + there.foreign, self._loras)
            notes.sync(present, renamed, problems, self._all_seen(root, "lora"), _elsewhere(there, kept))
        listed, taken = {}, set()
        hub = {each.name for each in there.hub}
        for each in everything:
            result = found.get(each.name)
            if isinstance(result, Lora):
                listed[each.name] = result
                taken.add(each.real)
            elif isinstance(result, LoraInfo | str):
                if isinstance(result, str) and (
                    each.name in hub or (each.real in both and EMBEDDING not in result)
                ):
                    continue
                note = notes.of(each.name, files.get(each.name))
                sidecar = {**each.told, **beside.get(each.name, {})}
                made = lora_entry(each, result, sidecar, note, problems)
                owners = notes.called(each.name, files.get(each.name))
                aliases = (*made.aliases, *filter(None, [owners]))
                if each.name in hub or owners:
                    made = replace(made, from_hub=each.name in hub, aliases=aliases)
                listed[each.name] = self.hashes.filled(made)
                taken.add(each.real)
        return listed | {each.name: each for each in kept}, taken

    def _all_seen(self, root: Path, kind: Kind) -> bool:
        """Whether all folders that hold models of a kind could be read; `root`: our own."""
        roots = (root, *(each.path for each in self.foreign_folders(kind)))
        return not any(each.path.is_relative_to(top) for each in self.unread.unread for top in roots)

    def _file_of(self, lora: Lora) -> str | None:
        return lora.path.relative_to(self.settings.loras).as_posix() if _is_own(lora) else None


def _is_own(model: Checkpoint | Lora) -> bool:
    return not model.from_hub and not model.origin


def _elsewhere(there: _Found, kept: Sequence[Checkpoint | Lora]) -> set[str]:
    """Names of models outside our own folders."""
    found = {each.name for each in there.foreign + there.hub}
    return found | {each.name for each in kept if not _is_own(each)}
