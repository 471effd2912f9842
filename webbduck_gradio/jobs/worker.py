"""Runs one claimed job after the other: where the queue, the core and the gallery meet."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CancelledError, RequestError, StorageError, WebbDuckError
from ..storage.reserve import Reserve, is_full
from .context import JobContext
from .handlers import HANDLERS, handler_of
from .job import Job, State
from .lazy_run import LazyRun
from .leftovers import sweep_shared_folders
from .obstacles import Obstacles
from .previews import PreviewFiles
from .recovery import recover
from .reporter import StoppingError, StoreReporter
from .store import JobStore

log = logging.getLogger(__name__)

WRITE_AGAIN_SECONDS = 1.0

DISK_FULL = "The disk is full; free some space, and the queue goes on by itself."
"""Why the worker pauses the queue; the housekeeping resumes it."""

STOPPED = "The studio was stopped while this job ran; retry it to make it anew."

Result = TypeVar("Result")


class Worker:
    """Runs jobs in one thread, one at a time, whoever asks and however often; see `dispatcher`.

    Torch and the C library keep threads and memory for each thread that they are called from, and Gradio
    calls from any of a hundred: forty callers of one convolution left 55 MiB and 80 threads behind on two
    cores. At its end Python waits for the thread of an executor; who stops the studio while a step goes on
    therefore ends the process by `os._exit`, as `cli` does.
    """

    def __init__(self, store: JobStore, context: JobContext):
        self.store, self.context = store, context
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="core")
        self._unfinished = 0
        """Calls that the executor has not done yet."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self.previews = PreviewFiles(context.settings)
        self.obstacles = Obstacles(context.settings, self._obstacle_of_next)
        self.reserve = Reserve(context.settings.data_dir / "reserve")
        self.reserve.create()

    def _do(self, work: Callable[[], Result], only_when_idle: bool = False) -> Result:
        """Run `work` in the core's thread when its turn has come; raises what it raises."""
        with self._changed:
            if only_when_idle and self._unfinished:
                raise RequestError("A job is running; free the memory when it has ended, or cancel it.")
            future: Future[Result] = self._executor.submit(work)
            self._unfinished += 1
        try:
            return future.result()
        finally:
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()

    # ---- the generator

    def describe(self) -> dict[str, Any]:
        """Device, memory and loaded pipeline; {} until the generator was made. Never waits for it."""
        return self.context.describe_generator()

    def warm_up(self) -> None:
        """Import torch and diffusers in the background, so that the first job need not wait for it."""

        def load() -> None:
            try:
                _ = self.context.generator
            except Exception:
                # The first job will meet the same and tell the user.
                log.exception("The generator could not be made ready")

        threading.Thread(target=load, name="warm-up", daemon=True).start()

    def free(self) -> None:
        """Unload the models in memory. Raises `RequestError` while a job runs."""
        if self.context.has_generator:
            self._do(lambda: self.context.generator.free(), only_when_idle=True)

    # ---- jobs

    def recover(self) -> int:
        """At start, before the dispatcher: what ran when the studio died becomes interrupted, what it left
        half made goes. How many jobs."""
        sweep_shared_folders(self.context.settings)
        return recover(self.store, self.context.outputs)

    def _can_start(self) -> bool:
        """Whether a job can be run now; else the queue is paused with the reason, before it draws."""
        problem = self.obstacles.found()
        # What a full disk took is kept back again first, also where somebody resumed the queue by hand.
        if problem is None and not self.reserve.create():
            problem = DISK_FULL
        if problem is None:
            return True
        log.warning("The queue is paused: %s", problem)
        self._pause(problem)
        return False

    def run_next(self) -> str | None:
        """Claim the next job and run it to its end: its id, or None where none waits or can be run now.

        Claimed in the core's thread, so that a job is never called running while another one runs.
        """
        return self._do(self._run_next)

    def run(self, job: Job) -> None:
        """Run a job that was claimed, to one of the final states. Never raises."""
        self._do(lambda: self._run(job))

    def _run_next(self) -> str | None:
        if self._stopping.is_set() or not self._can_start():
            return None
        job = self.store.claim()
        if job is None:
            return None
        self._run(job)
        return job.id

    def _run(self, job: Job) -> None:
        log.debug("Job %s started: %s, %d image(s)", job.id, job.kind, job.images_asked)
        run = LazyRun(job, self.store, self.context.outputs, self.obstacles)
        state, error = self._execute(job, run)
        self.previews.remove(job.id)
        self._finish(job, state, error, run.images)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Stop the running job at its next step and put it back as interrupted; at most `timeout` seconds.

        A step that takes longer is not waited for: the job is marked, and the process may end. False
        where something is still at work then: a step of the core, or the loading of it.
        """
        self._stopping.set()
        with self._changed:
            ended = self._changed.wait_for(lambda: not self._unfinished, timeout)
        try:
            self.store.recover(STOPPED)
        except WebbDuckError as problem:
            log.error("The running job will be marked at the next start: %s", problem)
        return ended and not self.context.is_loading

    def _execute(self, job: Job, run: LazyRun) -> tuple[State, str | None]:
        state: State = "failed"
        error: str | None = None
        try:
            HANDLERS[job.kind].run(
                self.context, StoreReporter(job, self.store, run, self.previews, self._stopping)
            )
            state = "completed"
        except StoppingError:
            state, error = "interrupted", STOPPED
        except CancelledError:
            state = "cancelled"
        except WebbDuckError as problem:
            error = str(problem)
            self._pause_if_full(problem.__cause__)
            # What it says stands in the job's one line; the cause is for whoever looks into it.
            log.debug("Job %s failed", job.id, exc_info=problem.__cause__)
        except OSError as problem:
            error = _disk_sentence(problem)
            self._pause_if_full(problem)
            log.exception("Job %s failed", job.id)
        except MemoryError:
            error = "The computer's memory did not suffice; choose a smaller size or close other programs."
            log.exception("Job %s failed", job.id)
        except BaseException as problem:
            error = (
                f"Something went wrong inside the studio ({type(problem).__name__}); the log has the details."
            )
            log.exception("Job %s failed", job.id)
        try:
            run.close(state)
        except Exception:
            # The pictures themselves are saved; only the run's closing record is not.
            log.exception("The record of run %s could not be completed", run.id)
        return state, error

    def _finish(self, job: Job, state: State, error: str | None, images: Sequence[str]) -> None:
        """Write the end of the job. While the disk refuses that, wait: the queue must not go on blindly."""
        while True:
            try:
                ended = self.store.finish(job.id, state, error, images)
                if ended is not None:
                    log.info("%s", _line(ended))
                return
            except StorageError as problem:
                # The one thing to wait for; any other error will not go away by itself.
                log.error("The end of job %s (%s) could not be written: %s", job.id, state, problem)
                self.store.status(job.id, f"Waiting until the end of this job can be written: {problem}")
            except Exception:
                log.exception("The end of job %s (%s) could not be written", job.id, state)
                return
            if self._stopping.wait(WRITE_AGAIN_SECONDS):
                return

    def _pause_if_full(self, problem: BaseException | None) -> None:
        """No further job is worth starting until there is room for its pictures."""
        if problem is None or not _is_full(problem):
            return
        # What follows has to be written down.
        self.reserve.release()
        self._pause(DISK_FULL)

    def _pause(self, reason: str) -> None:
        try:
            self.store.pause(reason)
        except WebbDuckError as error:
            log.warning("The queue is paused, but only until a restart: %s", error)

    def _obstacle_of_next(self) -> str | None:
        job = next(iter(self.store.queued()[:1]), None)
        return None if job is None else handler_of(job.kind).obstacle(self.context, job.request)


def _line(job: Job) -> str:
    """The one line of the log for a job that ended. What it should paint stays out of the log."""
    status = job.status or job.state.capitalize()
    about = [job.kind, *handler_of(job.kind).log_details(job)]
    took = "a time unknown" if job.took is None else f"{job.took:.1f} s"
    about.append(f"{took}, waited {job.waited(time.time()):.1f} s")
    about += [f"run {job.run}"] * bool(job.run) + [f"for {job.owner}"] * bool(job.owner)
    why = f"; {job.error}" if job.error else ""
    return f"Job {job.id} {status[0].lower()}{status[1:]}: {', '.join(about)}{why}"


def _is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and is_full(error)


def _disk_sentence(error: OSError) -> str:
    if _is_full(error):
        return "The disk is full; free some space, then retry this job."
    reason = (error.strerror or type(error).__name__).lower()
    where = f" {Path(str(error.filename)).name}" if error.filename else ""
    return f"A file{where} could not be read or written ({reason}); check the folder, then retry this job."
