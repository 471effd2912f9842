"""The conversions that were asked for: one at a time, in their order. Imports no torch."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ...errors import CancelledError, NotFoundError, RequestError, StorageError, WebbDuckError
from ...models import conversion
from ...models.catalog.lookup import quoted
from ...models.catalog.registry import Registry
from ...models.conversion import Kind, Pickle
from ...models.probe.safetensors_header import read_header
from ...storage.atomic import cannot_write, sync_folder, write_atomically
from ...storage.moving import move_to_free_name
from ...storage.reading import read_json
from ...storage.temporaries import is_abandoned, temporary_name
from . import process

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "cancelled"]
PREFIX = ".converting-"
"""How the folder's name begins that a file is written in; the catalog leaves such names out."""
CONVERTED = "{} was converted to {}."
MOST_KEPT = 200
NOTICE_SECONDS = 0.2
"""Between two versions while bytes are counted."""


@dataclass(frozen=True)
class Conversion:
    """One that was asked for. `text`: what came of it, in sentences."""

    id: int
    kind: Kind
    name: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    """Bytes that are read and written."""
    result: str = ""
    """Name of the file that was written."""
    text: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running")


@dataclass
class Conversions:
    """Thread-safe. `version` is incremented with every change. `file`: where those that have not ended are
    written down, so that they go on after a restart; None = nowhere."""

    registry: Registry
    limits: process.Limits = process.USUAL
    file: Path | None = None
    version: int = 0
    _items: dict[int, Conversion] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _thread: threading.Thread | None = None
    _stopped: bool = False
    _noticed: float = 0.0

    def add(self, kind: object, name: object) -> Conversion:
        """Ask for the conversion of a pickle that the catalog lists.

        Raises `RequestError` where there is none of the name, where its result is there already, or where the
        disk has no room for it.
        """
        pickle = conversion.find_pickle(self.registry, kind, name)
        conversion.check(pickle)
        with self._lock:
            again = (pickle.kind, pickle.name)
            same = (each for each in self._items.values() if each.is_open)
            if any((each.kind, each.name) == again for each in same):
                raise RequestError(f"{pickle.path.name} is being converted already.")
            self._forget([key for key, each in self._items.items() if (each.kind, each.name) == again])
            ended = [key for key, each in self._items.items() if not each.is_open]
            self._forget(ended[: max(0, len(ended) - MOST_KEPT)])
            added = self._added(pickle.kind, pickle.name)
            self._write_open()
        return added

    def resume(self) -> None:
        """Go on with those that had not ended when the studio last stopped."""
        if self.file is None:
            return
        try:
            found = read_json(self.file)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read, so no conversion goes on: %s", self.file, error)
            return
        with self._lock:
            for each in found if isinstance(found, list) else []:
                kind, name = (each.get("kind"), each.get("name")) if isinstance(each, dict) else (None, None)
                if kind in conversion.KINDS and isinstance(name, str):
                    self._added(kind, name)

    def items(self) -> list[Conversion]:
        """All, in the order in which they were asked for; those that have ended until `clear`."""
        with self._lock:
            return list(self._items.values())

    def get(self, id: object) -> Conversion:
        """Raises `NotFoundError`."""
        with self._lock:
            found = self._items.get(id) if isinstance(id, int) and not isinstance(id, bool) else None
        if found is None:
            raise NotFoundError(f"There is no conversion {quoted(id)}.")
        return found

    def cancel(self, id: object) -> Conversion:
        """Cancel a waiting or running one; what was written is removed. Raises `NotFoundError`."""
        with self._lock:
            found = self.get(id)
            if found.is_open:
                self._change(
                    found.id, state="cancelled", text=f"The conversion of {found.name} was cancelled."
                )
            return self.get(found.id)

    def clear(self) -> None:
        """Forget those that have ended."""
        with self._lock:
            self._forget([key for key, each in self._items.items() if not each.is_open])

    def stop(self) -> None:
        """End the child process, and start no other."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    def _added(self, kind: Kind, name: str) -> Conversion:
        added = Conversion(next(self._ids), kind, name)
        self._items[added.id] = added
        self.version += 1
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="conversions", daemon=True)
            self._thread.start()
        return added

    def _write_open(self) -> None:
        """Write down those that have not ended; after a stop, those that had not by then stay there."""
        if self.file is None or self._stopped:
            return
        rows = [{"kind": each.kind, "name": each.name} for each in self._items.values() if each.is_open]
        data = json.dumps(rows, indent=1).encode()
        try:
            write_atomically(self.file, lambda file: file.write(data), self.file.parent / "tmp")
        except StorageError as error:
            log.warning("The conversions would not go on after a restart: %s", error)

    def _forget(self, ids: list[int]) -> None:
        for each in ids:
            if not self._items[each].is_open:
                del self._items[each]
                self.version += 1

    def _change(self, id: int, **changes: Any) -> None:
        with self._lock:
            if id in self._items and self._items[id].is_open:
                self._items[id] = replace(self._items[id], **changes)
                self.version += 1
                if not self._items[id].is_open:
                    self._write_open()

    def _next(self) -> Conversion | None:
        with self._lock:
            waiting = (each for each in self._items.values() if each.state == "waiting")
            found = None if self._stopped else next(waiting, None)
            if found is None:
                self._thread = None
            return found

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._change(item.id, state="running")
            try:
                result, text = self._convert(item)
                self.registry.refresh()
                self._change(item.id, state="done", result=result, text=text)
            except CancelledError as error:
                self._change(item.id, state="cancelled", text=str(error))
            except WebbDuckError as error:
                self._change(item.id, state="failed", text=str(error))
            except Exception:
                log.exception("The conversion of %s failed", item.name)
                text = f"{item.name} could not be converted; the studio's log has the details."
                self._change(item.id, state="failed", text=text)

    def _convert(self, item: Conversion) -> tuple[str, str]:
        """(name of the file written, what is to be said of it). Raises `WebbDuckError`."""
        try:
            pickle = conversion.find_pickle(self.registry, item.kind, item.name)
        except NotFoundError:
            # The catalog lists it no more where it was converted right before the studio was ended.
            if result := conversion.result_of(self.registry, item.kind, item.name):
                return result, CONVERTED.format(Path(item.name).name, result)
            raise
        conversion.check(pickle)
        try:
            return _written(pickle, self._progress_of(item.id), lambda: self._is_over(item.id), self.limits)
        except FileExistsError:
            raise RequestError(f"There is a {pickle.target.name} already, which is not replaced.") from None
        except OSError as error:
            raise RequestError(cannot_write(pickle.target, error)) from None

    def _is_over(self, id: int) -> bool:
        with self._lock:
            return self._stopped or id not in self._items or not self._items[id].is_open

    def _progress_of(self, id: int) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            now = time.monotonic()
            if done >= total or now - self._noticed >= NOTICE_SECONDS:
                self._noticed = now
                self._change(id, done=done, total=total)

        return progress


def _written(
    pickle: Pickle,
    progress: Callable[[int, int], None],
    is_over: Callable[[], bool],
    limits: process.Limits,
) -> tuple[str, str]:
    """Convert into a folder of its own beside the target, look at the result as the catalog does, and give it
    its name. Raises `WebbDuckError` and `OSError`."""
    folder = pickle.target.parent
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    own = folder / temporary_name(PREFIX)
    part = own / pickle.target.name
    own.mkdir()
    try:
        before = pickle.path.stat()
        with part.open("xb") as file:
            facts = process.convert(
                pickle.path, file, pickle.kind, pickle.metadata, progress, is_over, limits
            )
            os.fsync(file.fileno())
        after = pickle.path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise RequestError(f"{pickle.path.name} was changed while it was converted; convert it again.")
        read_header(part)
        found = conversion.verdict(pickle.kind, part)
        if not found.keep:
            raise RequestError(f"{found.reason} The converted file was not kept.")
        if is_over():
            raise CancelledError(f"The conversion of {pickle.path.name} was cancelled.")
        move_to_free_name(part, pickle.target)
        sync_folder(folder)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        with suppress(OSError):
            own.rmdir()
    said = [CONVERTED.format(pickle.path.name, pickle.target.name), found.reason, *_remarks(facts)]
    return pickle.target.name, " ".join(filter(None, said))


def _remarks(facts: dict[str, Any]) -> list[str]:
    """Sentences about what is not as it was."""
    said = []
    count, names = facts.get("left_out_count"), facts.get("left_out")
    if isinstance(count, int) and count > 0 and isinstance(names, list):
        shown = ", ".join(str(each)[:60] for each in names[:5]) + (", ..." if count > 5 else "")
        said.append(f"Not kept, because it is no part of the model: {shown}.")
    copied = facts.get("copied")
    if isinstance(copied, int) and copied > 0:
        said.append(f"{copied:,} weights that shared memory with others are copies now.")
    return said


def _remove_abandoned(folder: Path) -> None:
    """What a studio that was killed left behind."""
    for each in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if is_abandoned(each):
                for file in each.iterdir():
                    file.unlink()
                each.rmdir()
