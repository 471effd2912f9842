"""What the registry knows of each file, so that only what changed is read again.

A `ScanPass` is one pass over the folders. It also decides which files are still being written: those wait for
their entry until they rest (`SETTLE`), those that are incomplete a little longer (`PATIENCE`), since a slow
download may pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..probe import pool
from ..probe.checkpoint import CheckpointInfo
from ..probe.lora import LoraInfo
from ..scan import NOTES, Candidate, Folders, Unread
from .catalog_db import CatalogCache, Row
from .entries import Checkpoint, Lora

SETTLE = 1.0
PATIENCE = 3.0
"""Seconds without a change after which a file counts as complete; and after which one that cannot be read is
listed with the reason."""

Entry = TypeVar("Entry", Checkpoint, Lora)
Key = tuple[str, str]
"""(kind, path)."""


class ProbeCache:
    """Findings by file, in memory and kept over a restart."""

    def __init__(self, memory: CatalogCache):
        self._memory = memory
        self.known: dict[Key, tuple[str, pool.Result]] = memory.findings()
        self.seen: dict[Path, tuple[str, float]] = {}
        """Since when (monotonic) each file that is not settled has had its stamp."""
        self.headers_read = 0
        """How many files were read, for the benchmark and the tests."""

    def look(self, patient: bool) -> ScanPass:
        return ScanPass(self, patient)

    def end(self, look: ScanPass) -> None:
        """Remember what was read, forget what is gone."""
        gone = [key for key in self.known if key not in look.met]
        for key in gone:
            del self.known[key]
        self._memory.keep(look.rows, gone)
        self.seen = {path: since for path, since in self.seen.items() if path in look.waiting}


class ScanPass:
    """One pass."""

    def __init__(self, shelf: ProbeCache, patient: bool):
        self._shelf, self._patient = shelf, patient
        self.met: set[Key] = set()
        self.rows: list[Row] = []
        self.waiting: set[Path] = set()
        self.unread: list[Unread] = []
        """Files that stay listed as they were, since they cannot be read now."""

    @property
    def unsettled(self) -> bool:
        return bool(self.waiting)

    def read(
        self,
        candidates: Sequence[Candidate],
        listed: Mapping[str, Entry],
        kind_of: Callable[[Candidate], str],
    ) -> dict[str, CheckpointInfo | LoraInfo | str | Entry]:
        """By name: the findings, or why there are none, or the entry so far of a file that is being written.

        What is new and still being written is not there.
        """
        fresh = [each for each in candidates if self._stale(kind_of(each), each) and self._settled(each)]
        results = dict(
            zip(
                (each.name for each in fresh),
                self._read([(kind_of(each), str(each.path), each.stamp) for each in fresh]),
                strict=True,
            )
        )
        found: dict[str, CheckpointInfo | LoraInfo | str | Entry] = {}
        for each in candidates:
            key: Key = (kind_of(each), str(each.path))
            self.met.add(key)
            stamp, result = self._shelf.known.get(key, ("", {}))
            if stamp != each.stamp:
                if each.name not in results or (
                    "reason" in results[each.name] and not self._resting(each, PATIENCE)
                ):
                    self.waiting.add(each.path)
                    if each.name in listed and listed[each.name].path == each.path:
                        found[each.name] = listed[each.name]
                    continue
                result = results[each.name]
                if "passing" in result:  # nothing was found out: the next look tries again
                    found[each.name] = self._as_it_was(each, listed, result)
                    continue
                self._shelf.known[key] = (each.stamp, result)
                self.rows.append((*key, each.stamp, result))
            found[each.name] = pool.findings(key[0], result)
        return found

    def _as_it_was(self, each: Candidate, listed: Mapping[str, Entry], result: pool.Result) -> Entry | str:
        before = listed.get(each.name)
        if before is None or before.path != each.path or before.unusable:
            return str(result["reason"])
        self.unread.append(Unread(each.path, f"cannot be read ({result['passing']})"))
        return before

    def keep(self, known: Folders) -> None:
        """Forget nothing of what lies where it cannot be read now."""
        if known.unread:
            self.met.update(key for key in self._shelf.known if known.is_unread(Path(key[1])))

    def _stale(self, kind: str, each: Candidate) -> bool:
        known = self._shelf.known.get((kind, str(each.path)))
        return known is None or known[0] != each.stamp

    def _settled(self, each: Candidate) -> bool:
        # A clock that is ahead or behind must not hide a file for ever, so its age is not all that counts.
        return not self._patient or time.time() - each.modified > SETTLE or self._resting(each, SETTLE)

    def _resting(self, each: Candidate, seconds: float) -> bool:
        """Whether the file has had this stamp for so long, as far as was looked."""
        if not self._patient:
            return True
        now = time.monotonic()
        stamp, since = self._shelf.seen.get(each.path, ("", now))
        if stamp != each.stamp:
            since = now
            self._shelf.seen[each.path] = (each.stamp, now)
        return now - since >= seconds

    def _read(self, wanted: Sequence[Row | tuple[str, str, str]]) -> list[pool.Result]:
        self._shelf.headers_read += len(wanted)
        return pool.read_many([(each[0], each[1]) for each in wanted]) if wanted else []

    def read_sidecars(
        self, candidates: Sequence[Candidate], not_this: Path, problems: list[str]
    ) -> dict[str, dict[str, Any]]:
        """By name: what other programs noted beside a LoRA. `not_this` is loras.json itself."""
        notes = [
            (each.name, path, stamp)
            for each in candidates
            for ending, (path, stamp) in each.beside.items()
            if ending in NOTES and path != not_this
        ]
        unread = [
            ("sidecar", str(path), stamp)
            for _, path, stamp in notes
            if self._shelf.known.get(("sidecar", str(path)), ("", {}))[0] != stamp
        ]
        for (kind, name, stamp), result in zip(unread, self._read(unread), strict=True):
            if "passing" in result:
                problems.append(str(result["reason"]))
            else:
                self._shelf.known[kind, name] = (stamp, result)
                self.rows.append((kind, name, stamp, result))
        said: dict[str, dict[str, Any]] = {}
        for name, path, _ in notes:
            key = ("sidecar", str(path))
            self.met.add(key)
            result = self._shelf.known.get(key, ("", {"found": {}}))[1]
            if "reason" in result:
                problems.append(str(result["reason"]))
            else:
                # The first one's word counts where both say something.
                said[name] = {**result["found"], **said.get(name, {})}
        return said

    def renamed(self, candidates: Sequence[Candidate], listed: Mapping[str, Entry]) -> dict[str, str]:
        """Old name -> new name of files that are the same ones under another name."""
        now = {each.name for each in candidates}
        lost = {each.stamp: name for name, each in listed.items() if name not in now and each.stamp != "gone"}
        return {
            lost[each.stamp]: each.name
            for each in candidates
            if each.name not in listed and each.stamp in lost
        }
