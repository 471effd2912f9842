"""Runs one claimed job: where the core and the gallery meet. One job at a time, whatever happens above."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CancelledError, RequestError, StorageError, WebbDuckError
from ..models.catalog.unreadable import obstacle
from ..request import GenerationRequest
from ..settings import Settings
from ..storage.reserve import Reserve, is_full
from .core_executor import Hand
from .handlers import image_tools
from .job import Job, State
from .lazy_run import LazyRun
from .leftovers import sweep_shared_folders
from .obstacles import Obstacles
from .recovery import recover
from .store import JobStore

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.image_generator import ImageGenerator
    from ..gallery.outputs import Outputs
    from ..models.catalog.registry import Registry

log = logging.getLogger(__name__)

GPU = threading.RLock()
"""One job at a time in this process. Gradio's lane makes the order; this is the guarantee: Gradio frees
its slot when a client cancels the call, although the function still runs."""

HAND = Hand("core")

PREVIEW_SIDE = 384
"""Longest side of a preview, in pixels."""
PREVIEW_SECONDS = 0.25
"""Least time between two previews while somebody looks."""
UNWATCHED_PREVIEW_SECONDS = 2.0
"""The same while nobody does; whoever opens a page then finds one that is not old."""
WATCHED_SECONDS = 5.0
"""How long a look lasts. An open page looks twice a second."""
WRITE_AGAIN_SECONDS = 1.0

DISK_FULL = "The disk is full; free some space, and the queue goes on by itself."
"""Why the worker pauses the queue; the housekeeping resumes it."""

STOPPED = "The studio was stopped while this job ran; retry it to make it anew."


class _Stopping(CancelledError):
    """The studio is being stopped; the job is not cancelled but interrupted."""


class Worker:
    """Makes the generator on first use, in the thread that runs the job: torch is imported only then."""

    def __init__(
        self,
        store: JobStore,
        registry: Registry,
        outputs: Outputs,
        settings: Settings,
        make_generator: Callable[[], ImageGenerator],
    ):
        self.store, self.registry, self.outputs, self.settings = store, registry, outputs, settings
        self._make_generator = make_generator
        self._generator: ImageGenerator | None = None
        self._making = threading.Lock()
        self._stopping = threading.Event()
        self._looked = float("-inf")
        self.obstacles = Obstacles(settings, lambda: _waits_for(store, registry))
        self.reserve = Reserve(settings.data_dir / "reserve")
        self.reserve.create()
        for leftover in settings.previews.glob("*.jpg*"):
            with contextlib.suppress(OSError):
                leftover.unlink()

    # ---- the generator

    @property
    def generator(self) -> ImageGenerator:
        """Made on first use; importing torch takes seconds."""
        with self._making:
            if self._generator is None:
                self._generator = self._make_generator()
            return self._generator

    def describe(self) -> dict[str, Any]:
        """Device, memory and loaded pipeline; {} until the generator was made. Never waits for it."""
        return self._generator.describe() if self._generator else {}

    @property
    def ready(self) -> bool:
        """Whether the generator was made, so that `describe` has something to tell."""
        return self._generator is not None

    def warm_up(self) -> None:
        """Import torch and diffusers in the background, so that the first job need not wait for it."""

        def load() -> None:
            try:
                _ = self.generator
            except Exception:
                # The first job will meet the same and tell the user.
                log.exception("The generator could not be made ready")

        threading.Thread(target=load, name="warm-up", daemon=True).start()

    def free(self) -> None:
        """Let go of the models in memory. Raises `RequestError` while a job runs."""
        if not GPU.acquire(blocking=False):
            raise RequestError("A job is running; free the memory when it has ended, or cancel it.")
        try:
            if self._generator is not None:
                self._generator.free()
        finally:
            GPU.release()

    # ---- jobs

    def recover(self) -> int:
        """At start, before the pump: what ran when the studio died becomes interrupted, what it left half
        made goes. How many jobs."""
        sweep_shared_folders(self.settings)
        return recover(self.store, self.outputs)

    def can_start(self) -> bool:
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

    def run(self, job: Job) -> None:
        """Run a job that was claimed, to one of the final states. Never raises."""
        with GPU:
            log.debug("Job %s started: %s, %d image(s)", job.id, job.kind, job.images_asked)
            run = LazyRun(job, self.store, self.outputs, self.obstacles)
            state, error = HAND.do(lambda: self._execute(job, run))
            self._drop_preview(job)
            self._finish(job, state, error, run.images)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Stop the running job at its next step and put it back as interrupted; at most `timeout` seconds.

        A step that takes longer is not waited for: the job is marked, and the process may end. False
        where something is still at work then: a step of the core, or the loading of it.
        """
        self._stopping.set()
        ended = GPU.acquire(timeout=timeout)
        if ended:
            GPU.release()
        try:
            self.store.recover(STOPPED)
        except WebbDuckError as problem:
            log.error("The running job will be marked at the next start: %s", problem)
        return ended and not self._making.locked()

    def _execute(self, job: Job, run: LazyRun) -> tuple[State, str | None]:
        state: State = "failed"
        error: str | None = None
        try:
            if job.kind in image_tools.WORK:
                image_tools.WORK[job.kind](self, job, _Reporter(self, job))
            else:
                self._generate(job, run)
            state = "completed"
        except _Stopping:
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

    def _generate(self, job: Job, run: LazyRun) -> None:
        request = job.generation_request
        checkpoint = self.registry.usable_checkpoint(request.base_model)
        reporter = _Reporter(self, job)
        reporter.check()
        reporter.status("Preparing")
        for picture in self.generator.generate(request, checkpoint, reporter):
            for warning in picture.warnings:
                self.store.add_warnings(job.id, warning)
            loras = [lora["name"] for lora in picture.facts.get("loras", ())]
            facts = {**self.registry.known_hashes(request.base_model, loras), **picture.facts}
            # With those that were there before it was queued.
            said = tuple(dict.fromkeys((*job.warnings, *picture.warnings)))
            run.save(picture.index, picture.image, picture.seed, said, facts, reporter)
            if picture.index + 1 < request.num_images:
                reporter.check_between_images()

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

    def _drop_preview(self, job: Job) -> None:
        for path in (self.preview_path(job.id), self._unfinished_preview(job.id)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def preview_path(self, job_id: str) -> Path:
        """Where the live preview of a running job lies (JPEG)."""
        return self.settings.previews / f"{job_id}.jpg"

    def _unfinished_preview(self, job_id: str) -> Path:
        return self.settings.previews / f"{job_id}.jpg.part"

    def write_preview(self, job: Job, image: Image) -> None:
        """Replace the job's preview file; a failure costs the preview, not the job."""
        small = image.convert("RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        part = self._unfinished_preview(job.id)
        try:
            # Renamed, so that no page reads half a file; not synced, because it is gone after the job.
            with open(part, "wb") as file:
                small.save(file, "JPEG", quality=80)
            os.replace(part, self.preview_path(job.id))
        except OSError as error:
            log.warning("The preview of job %s could not be written: %s", job.id, error)
            return
        self.store.new_preview(job.id)

    def look(self) -> None:
        """Somebody looks at the studio: for a while previews are worth their time."""
        self._looked = time.monotonic()

    @property
    def preview_seconds(self) -> float:
        """Least time between two previews now."""
        watched = time.monotonic() - self._looked < WATCHED_SECONDS
        return PREVIEW_SECONDS if watched else UNWATCHED_PREVIEW_SECONDS

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()


def _waits_for(store: JobStore, registry: Registry) -> str | None:
    return next((obstacle(registry, job.request) for job in store.queued()[:1]), None)


class _Reporter:
    """What the core reports while it works (`core.progress.Reporter`)."""

    def __init__(self, worker: Worker, job: Job):
        self._worker, self._store, self._job = worker, worker.store, job
        self._last_preview = float("-inf")

    def step(self, image_index: int, step: int, total: int) -> None:
        self._store.progress(self._job.id, image_index, step, total)

    def status(self, text: str) -> None:
        self._store.status(self._job.id, text)

    def check(self) -> None:
        if self._worker.stopping:
            raise _Stopping(STOPPED)
        if self._store.cancelled(self._job.id):
            raise CancelledError("The job was cancelled.")

    def check_between_images(self) -> None:
        self.check()
        if self._store.cancelled_after_image(self._job.id):
            raise CancelledError("The job was cancelled.")

    def wants_preview(self) -> bool:
        return time.monotonic() - self._last_preview >= self._worker.preview_seconds

    def preview(self, image: Image) -> None:
        if self.wants_preview():
            self._last_preview = time.monotonic()
            self._worker.write_preview(self._job, image)


def _line(job: Job) -> str:
    """The one line of the log for a job that ended. What it should paint stays out of the log."""
    status = job.status or job.state.capitalize()
    wanted = job.request
    about: list[str] = [job.kind]
    if isinstance(wanted, GenerationRequest):
        size = f"{wanted.width} x {wanted.height}, {wanted.steps} steps"
        about.append(f"{len(job.images)} of {job.images_asked} images, {wanted.base_model}, {size}")
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
