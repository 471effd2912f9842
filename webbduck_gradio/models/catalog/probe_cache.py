"""Caches probe results by file stamp, so that only changed files are read again.

A `ScanPass` is one scan of the folders. It also detects files that are still being written: they are listed
once unchanged for `SETTLE`, incomplete ones for `PATIENCE`, since a slow download may pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..embeddings import Embedding
from ..probe import pool
from ..scan import NOTES, Candidate, Folders, Unread
from .catalog_db import CatalogCache, Row
from .entries import Checkpoint, Lora

SETTLE = 1.0
PATIENCE = 3.0
"""Seconds without a change after which a file counts as complete, and after which an unreadable one is listed
with the reason."""

Entry = TypeVar("Entry", Checkpoint, Lora, Embedding)
Key = tuple[str, str]
"""(kind, path)."""


class ProbeCache:
    """Probe results by file, in memory and in `CatalogCache`."""

    def __init__(self, memory: CatalogCache):
        self._memory = memory
        self.known: dict[Key, tuple[str, pool.Result]] = memory.findings()
        self.seen: dict[Path, tuple[str, float]] = {}
        """Unsettled file -> its stamp and since when (monotonic) it has had it."""
        self.headers_read = 0
        """Number of files read, for benchmarks and tests."""

    def start_scan(self, patient: bool) -> ScanPass:
        return ScanPass(self, patient)

    def finish(self, scan: ScanPass) -> None:
        """Store new results and remove those of deleted files."""
        gone = [key for key in self.known if key not in scan.met]
        for key in gone:
            del self.known[key]
        self._memory.keep(scan.rows, gone)
        self.seen = {path: since for path, since in self.seen.items() if path in scan.waiting}


class ScanPass:
    """One scan of the model folders."""

    def __init__(self, cache: ProbeCache, patient: bool):
        self._cache, self._patient = cache, patient
        self.met: set[Key] = set()
        self.rows: list[Row] = []
        self.waiting: set[Path] = set()
        self.unread: list[Unread] = []
        """Files that keep their old entries because they cannot be read now."""

    @property
    def unsettled(self) -> bool:
        return bool(self.waiting)

    def read(
        self,
        candidates: Sequence[Candidate],
        listed: Mapping[str, Entry],
        kind_of: Callable[[Candidate], str],
    ) -> dict[str, pool.Info | str | Entry]:
        """Name -> probe result, or the reason why there is none, or the old entry of a file being written.

        New files that are still being written are left out.
        """
        fresh = [each for each in candidates if self._stale(kind_of(each), each) and self._settled(each)]
        results = dict(
            zip(
                (each.name for each in fresh),
                self._read([(kind_of(each), str(each.path), each.stamp) for each in fresh]),
                strict=True,
            )
        )
        found: dict[str, pool.Info | str | Entry] = {}
        for each in candidates:
            key: Key = (kind_of(each), str(each.path))
            self.met.add(key)
            stamp, result = self._cache.known.get(key, ("", {}))
            if stamp != each.stamp:
                if each.name not in results or (
                    "reason" in results[each.name] and not self._is_unchanged(each, PATIENCE)
                ):
                    self.waiting.add(each.path)
                    if each.name in listed and listed[each.name].path == each.path:
                        found[each.name] = listed[each.name]
                    continue
                result = results[each.name]
                if "passing" in result:  # temporary error: the next scan tries again
                    found[each.name] = self._previous_entry(each, listed, result)
                    continue
                self._cache.known[key] = (each.stamp, result)
                self.rows.append((*key, each.stamp, result))
            found[each.name] = pool.findings(key[0], result)
        return found

    def _previous_entry(
        self, each: Candidate, listed: Mapping[str, Entry], result: pool.Result
    ) -> Entry | str:
        before = listed.get(each.name)
        if before is None or before.path != each.path or before.unusable:
            return str(result["reason"])
        self.unread.append(Unread(each.path, f"cannot be read ({result['passing']})"))
        return before

    def keep(self, known: Folders) -> None:
        """Keep the results of files in folders that cannot be read now."""
        if known.unread:
            self.met.update(key for key in self._cache.known if known.is_unread(Path(key[1])))

    def _stale(self, kind: str, each: Candidate) -> bool:
        known = self._cache.known.get((kind, str(each.path)))
        return known is None or known[0] != each.stamp

    def _settled(self, each: Candidate) -> bool:
        # The file's age alone does not count: a wrong clock must not hide a file forever.
        return not self._patient or time.time() - each.modified > SETTLE or self._is_unchanged(each, SETTLE)

    def _is_unchanged(self, each: Candidate, seconds: float) -> bool:
        """Whether the file has had this stamp in all scans of the last `seconds`."""
        if not self._patient:
            return True
        now = time.monotonic()
        stamp, since = self._cache.seen.get(each.path, ("", now))
        if stamp != each.stamp:
            since = now
            self._cache.seen[each.path] = (each.stamp, now)
        return now - since >= seconds

    def _read(self, wanted: Sequence[Row | tuple[str, str, str]]) -> list[pool.Result]:
        self._cache.headers_read += len(wanted)
        return pool.read_many([(each[0], each[1]) for each in wanted]) if wanted else []

    def read_sidecars(
        self, candidates: Sequence[Candidate], not_this: Path, problems: list[str]
    ) -> dict[str, dict[str, Any]]:
        """Model name -> data from its sidecar files. `not_this` is loras.json itself."""
        notes = [
            (each.name, path, stamp)
            for each in candidates
            for ending, (path, stamp) in each.beside.items()
            if ending in NOTES and path != not_this
        ]
        unread = [
            ("sidecar", str(path), stamp)
            for _, path, stamp in notes
            if self._cache.known.get(("sidecar", str(path)), ("", {}))[0] != stamp
        ]
        for (kind, name, stamp), result in zip(unread, self._read(unread), strict=True):
            if "passing" in result:
                problems.append(str(result["reason"]))
            else:
                self._cache.known[kind, name] = (stamp, result)
                self.rows.append((kind, name, stamp, result))
        sidecars: dict[str, dict[str, Any]] = {}
        for name, path, _ in notes:
            key = ("sidecar", str(path))
            self.met.add(key)
            result = self._cache.known.get(key, ("", {"found": {}}))[1]
            if "reason" in result:
                problems.append(str(result["reason"]))
            else:
                # The first file takes precedence.
                sidecars[name] = {**result["found"], **sidecars.get(name, {})}
        return sidecars

    def renamed(self, candidates: Sequence[Candidate], listed: Mapping[str, Entry]) -> dict[str, str]:
        """Old name -> new name of renamed files, recognised by their stamps."""
        now = {each.name for each in candidates}
        lost = {each.stamp: name for name, each in listed.items() if name not in now and each.stamp != "gone"}
        return {
            lost[each.stamp]: each.name
            for each in candidates
            if each.name not in listed and each.stamp in lost
        }
