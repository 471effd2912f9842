"""Runs claimed jobs one after another; connects the queue, the core and the gallery."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..core.device_state import DeviceState
from ..errors import CancelledError, RequestError, StorageError, SuspendedError, WebbDuckError
from ..models.catalog.registry import Checkpoint
from ..request import GenerationRequest
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

if TYPE_CHECKING:
    from ..core.image_generator import ImageGenerator

log = logging.getLogger(__name__)

WRITE_AGAIN_SECONDS = 1.0

DISK_FULL = "The disk is full; free some space, and the queue resumes automatically."
"""Reason of a pause by the worker; the housekeeping resumes the queue."""

STOPPED = "The studio was stopped while this job ran; retry it to run it again."

Result = TypeVar("Result")


class Worker:
    """Runs all core work on one thread, one job at a time; see `dispatcher`.

    Torch and the C library keep threads and memory for each calling thread, and Gradio calls from a pool of
    up to a hundred: forty threads calling one convolution left 55 MiB and 80 threads behind on two cores.
    At exit, Python waits for an executor's thread; to stop during a step, `cli` ends the process by
    `os._exit`.
    """

    def __init__(self, store: JobStore, context: JobContext):
        self.store, self.context = store, context
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="core")
        self._unfinished = 0
        """Calls that the executor has not completed yet."""
        self._is_preloading = False
        """Whether the executor's current call is `_preload`."""
        self.device_version = 0
        """Differs whenever what `describe` says may differ, but for the memory during a job."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self.previews = PreviewFiles(context.settings)
        self.obstacles = Obstacles(context.settings, self._obstacle_of_next)
        self.reserve = Reserve(context.settings.data_dir / "reserve")
        self.reserve.create()

    def _do(self, work: Callable[[], Result], only_when_idle: bool = False) -> Result:
        """Run `work` on the core's thread, after earlier calls. Raises what it raises, and `RequestError` if
        `only_when_idle` and the thread is busy."""
        with self._changed:
            # The preloading stops as soon as something else waits for the thread.
            if only_when_idle and self._unfinished > self._is_preloading:
                raise RequestError("A job is running; free the memory after it has ended, or cancel it.")
            future: Future[Result] = self._executor.submit(work)
            self._unfinished += 1
        try:
            return future.result()
        finally:
            with self._changed:
                self._unfinished -= 1
                self.device_version += 1
                self._changed.notify_all()

    # ---- the generator

    def describe(self) -> DeviceState:
        """As `JobContext.describe_generator`."""
        return self.context.describe_generator()

    def warm_up(self) -> None:
        """Import torch and load the default checkpoint, so that the first job waits for neither.

        Blocks. Never raises: the first job will fail in the same way and report it to the user.
        """
        try:
            generator = self.context.generator
            checkpoint = self.context.registry.default_checkpoint()
            if checkpoint is not None:
                self._do(lambda: self._preload(generator, checkpoint))
        except CancelledError as reason:
            log.info("%s", reason)
        except WebbDuckError as problem:
            log.warning("The default checkpoint was not loaded beforehand: %s", problem)
        except Exception:
            log.exception("The core was not made ready for the first job")

    @property
    def is_loading(self) -> bool:
        """Whether the core or the default checkpoint is being loaded, for which the next job waits."""
        return self._is_preloading or self.context.is_loading

    def _preload(self, generator: ImageGenerator, checkpoint: Checkpoint) -> None:
        def check() -> None:
            if self._is_wanted_elsewhere(checkpoint):
                raise CancelledError(f"{checkpoint.name} is not loaded beforehand: the core has other work.")

        self._is_preloading = True
        try:
            check()
            self.context.apply_choice()
            generator.preload(checkpoint, check)
        finally:
            self._is_preloading = False

    def _is_wanted_elsewhere(self, checkpoint: Checkpoint) -> bool:
        """Whether something waits for the core that does not need this checkpoint."""
        if self._stopping.is_set():
            return True
        job = self._next_job()
        if job is None:
            return self._unfinished > 1
        return not (isinstance(job.request, GenerationRequest) and job.request.base_model == checkpoint.name)

    def free(self) -> None:
        """Unload the models in memory. Raises `RequestError` while a job runs."""
        if self.context.has_generator:
            self._do(lambda: self.context.generator.free(), only_when_idle=True)

    def apply_choice(self) -> None:
        """Let the core work by the current choice about the device: at once if it is idle, otherwise when it
        has ended what it does. Neither disturbs a job or the preloading, nor waits for it."""
        with self._changed:
            is_idle = not self._unfinished
            self.device_version += 1
            future = self._executor.submit(self._apply_choice)
        if is_idle:
            future.result()

    def _apply_choice(self) -> None:
        try:
            self.context.apply_choice()
        except Exception:
            # The next job will fail in the same way and report it to the user.
            log.exception("What was chosen about the device could not be applied")
        with self._changed:
            self.device_version += 1

    # ---- jobs

    def recover(self) -> int:
        """Mark the job that ran when the studio died as interrupted, and remove its temporary files. Returns
        the number of jobs. Call at start, before the dispatcher runs."""
        sweep_shared_folders(self.context.settings)
        interrupted = recover(self.store, self.context.outputs)
        self.store.sweep_unfinished()
        return interrupted

    def _can_start(self) -> bool:
        """Whether a job can run now; otherwise pauses the queue with the reason."""
        problem = self.obstacles.found()
        # The reserve that a full disk used up comes first, also if the user resumed the queue.
        if problem is None and not self.reserve.create():
            problem = DISK_FULL
        if problem is None:
            return True
        log.warning("The queue is paused: %s", problem)
        self._pause(problem)
        return False

    def run_next(self) -> str | None:
        """Claim the next job and run it to its end. Returns its id, or None if no job is waiting or can run
        now.

        Claimed on the core's thread, so that a job is never marked as running while another one runs.
        """
        return self._do(self._run_next)

    def run(self, job: Job) -> None:
        """Run a claimed job until it is in a final state. Never raises."""
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
        self._finish(job, state, error, run)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Stop the running job at its next step and mark it as interrupted, within `timeout` seconds.

        A longer step is not waited for: the job is marked, and the process may end. Returns False if the core
        is still busy with a step or with loading then.
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
        reporter = StoreReporter(job, self.store, run, self.previews, self._stopping)
        try:
            run.reopen()
            self.context.apply_choice()
            HANDLERS[job.kind].run(self.context, reporter)
            state = "completed"
        except StoppingError:
            state, error = "interrupted", STOPPED
        except SuspendedError:
            state = "suspended"
        except CancelledError:
            state = "cancelled"
        except WebbDuckError as problem:
            error = str(problem)
            self._pause_if_full(problem.__cause__)
            # The message is part of the job's line in the log; only the cause is added here.
            log.debug("Job %s failed", job.id, exc_info=problem.__cause__)
        except OSError as problem:
            error = _disk_error_message(problem)
            self._pause_if_full(problem)
            log.exception("Job %s failed", job.id)
        except MemoryError:
            error = "There is not enough memory; choose a smaller size or close other programs."
            log.exception("Job %s failed", job.id)
        except BaseException as problem:
            error = f"An internal error occurred ({type(problem).__name__}); the log has the details."
            log.exception("Job %s failed", job.id)
        reporter.settle()
        _close(run, state)
        return state, error

    def _finish(self, job: Job, state: State, error: str | None, run: LazyRun) -> None:
        """Save how the job ended, or that it was put aside. Retries while the disk refuses it: no further job
        may start before."""
        while True:
            try:
                if state == "suspended":
                    if self.store.set_aside(job.id, run.images) is not None:
                        log.info("Job %s was put aside", job.id)
                        return
                    state = "cancelled"  # meanwhile
                    _close(run, state)
                ended = self.store.finish(job.id, state, error, run.images)
                if ended is not None:
                    log.info("%s", _line(ended))
                return
            except StorageError as problem:
                # Only this error is worth retrying.
                log.error("The final state of job %s (%s) could not be saved: %s", job.id, state, problem)
                self.store.status(job.id, f"Waiting to save the state of this job: {problem}")
            except Exception:
                log.exception("The final state of job %s (%s) could not be saved", job.id, state)
                return
            if self._stopping.wait(WRITE_AGAIN_SECONDS):
                return

    def _pause_if_full(self, problem: BaseException | None) -> None:
        """Pause the queue if the disk is full: the next job could not save its images either."""
        if problem is None or not _is_full(problem):
            return
        # Makes space for recording this job's end and the pause.
        self.reserve.release()
        self._pause(DISK_FULL)

    def _pause(self, reason: str) -> None:
        try:
            self.store.pause(reason)
        except WebbDuckError as error:
            log.warning("The queue is paused, but only until a restart: %s", error)

    def _next_job(self) -> Job | None:
        return next(iter(self.store.queued()), None)

    def _obstacle_of_next(self) -> str | None:
        job = self._next_job()
        return None if job is None else handler_of(job.kind).obstacle(self.context, job.request)


def _close(run: LazyRun, state: State) -> None:
    try:
        run.close(state)
    except Exception:
        # The images themselves are saved; only the run's final record is missing.
        log.exception("The record of run %s could not be completed", run.id)


def _line(job: Job) -> str:
    """The log line of a job that ended. Prompts are never logged."""
    status = job.status or job.state.capitalize()
    details = [job.kind, *handler_of(job.kind).log_details(job)]
    took = "unknown duration" if job.took is None else f"{job.took:.1f} s"
    details.append(f"{took}, waited {job.waited(time.time()):.1f} s")
    details += [f"run {job.run}"] * bool(job.run) + [f"for {job.owner}"] * bool(job.owner)
    error = f"; {job.error}" if job.error else ""
    return f"Job {job.id} {status[0].lower()}{status[1:]}: {', '.join(details)}{error}"


def _is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and is_full(error)


def _disk_error_message(error: OSError) -> str:
    if _is_full(error):
        return "The disk is full; free some space, then retry this job."
    reason = (error.strerror or type(error).__name__).lower()
    where = f" {Path(str(error.filename)).name}" if error.filename else ""
    return f"A file{where} could not be read or written ({reason}); check the folder, then retry this job."
