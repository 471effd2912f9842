"""Files of unfinished jobs: the state after a denoising step, from which a job goes on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from ..core.progress import UNFINISHED_FORMAT, UnfinishedState
from ..errors import ModelError, StorageError
from ..models.probe.safetensors_header import read_header
from ..storage.atomic import cannot_write, write_atomically
from .job import ContinuesAt

log = logging.getLogger(__name__)


class UnfinishedFiles:
    """One file per job, `<job id>.safetensors`; see `core.progress.UnfinishedState`. Thread-safe."""

    def __init__(self, folder: Path, temporary: Path):
        self._folder, self._temporary = folder, temporary
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="unfinished")
        self._known: dict[str, tuple[tuple[int, ...], ContinuesAt | None]] = {}
        """What the files say, by job, with the version of the file that was read."""

    def path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.safetensors"

    def position(self, job_id: str) -> ContinuesAt | None:
        """Where the job's file stands; None if there is none or it cannot be used.

        Each version of a file is read once, its header only.
        """
        path = self.path(job_id)
        try:
            status = path.stat()
        except OSError:
            self._known.pop(job_id, None)
            return None
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known.get(job_id)
        if known is None or known[0] != version:
            known = self._known[job_id] = (version, _read(path))
        return known[1]

    def write(self, job_id: str, state: UnfinishedState) -> Future[None]:
        """Replace the job's file in the background. The future raises `StorageError`."""
        return self._writer.submit(self._write, job_id, state)

    def _write(self, job_id: str, state: UnfinishedState) -> None:
        path = self.path(job_id)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, state.write, self._temporary)
        except OSError as error:
            raise StorageError(cannot_write(path, error)) from error
        except StorageError:
            raise
        except Exception as error:
            log.exception("The state of job %s could not be written", job_id)
            text = f"{path.name} could not be written ({type(error).__name__}); the log has the details."
            raise StorageError(text) from error

    def remove(self, *job_ids: str) -> None:
        """Remove the files of these jobs, as far as they have one."""
        for job_id in job_ids:
            self._known.pop(job_id, None)
            try:
                self.path(job_id).unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s could not be removed: %s", self.path(job_id), error)

    def ids(self) -> set[str]:
        """The jobs that have a file."""
        with suppress(OSError):
            return {name.removesuffix(".safetensors") for name in os.listdir(self._folder)}
        return set()

    def remove_others(self, found: Collection[str], kept: Collection[str]) -> None:
        """Remove the files `found` of jobs that are not among `kept`."""
        self.remove(*(each for each in found if each not in kept))


class StateSaver:
    """Saves the states of the running job, of which only the newest is kept."""

    first_seconds: ClassVar[float] = 20.0
    """From when on a job's states are saved by themselves."""
    seconds_between: ClassVar[float] = 10.0
    """Least time between two of them."""

    def __init__(self, files: UnfinishedFiles, job_id: str):
        self._files, self._job_id = files, job_id
        self._next = time.monotonic() + self.first_seconds
        self._state: UnfinishedState | None = None
        self._writing: Future[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether the next state is to be saved by itself. Cheap: called at every step."""
        return time.monotonic() >= self._next and (self._writing is None or self._writing.done())

    def save(self, state: UnfinishedState) -> None:
        """Save a state in the background; a failure is logged."""
        self._write(state).add_done_callback(self._report)

    def save_now(self, state: UnfinishedState) -> None:
        """Return when the state is on the disk. Raises `StorageError`."""
        writing = self._writing if self._state is state else None
        (writing or self._write(state)).result()

    def settle(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            self._writing.exception()

    def _write(self, state: UnfinishedState) -> Future[None]:
        self._state = state
        self._next = time.monotonic() + self.seconds_between
        self._writing = self._files.write(self._job_id, state)
        return self._writing

    def _report(self, written: Future[None]) -> None:
        if problem := written.exception():
            log.warning("Job %s could not go on from here after a crash: %s", self._job_id, problem)


def _read(path: Path) -> ContinuesAt | None:
    try:
        about = read_header(path).metadata
        index, step, total = (int(about[name]) for name in ("index", "step", "total"))
        share = float(about["share"]) if "share" in about else None
    except (ModelError, KeyError, ValueError) as error:
        log.warning("The state %s cannot be used: %s", path, error)
        return None
    if about.get("format") != UNFINISHED_FORMAT or min(index, step, total) < 0 or not 0 <= (share or 0) <= 1:
        log.warning("The state %s is of another version of the studio", path)
        return None
    return ContinuesAt(index, step, total, share)
