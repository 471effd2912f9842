"""Builds the services that the page and the API share, one instance of each."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import psutil

from . import __version__
from .core.device_state import DeviceState
from .errors import RequestError
from .gallery.input_images import InputImageStore
from .gallery.lora_previews import LoraPreviews
from .gallery.outputs import Outputs
from .gallery.thumbnails import Thumbnails
from .gallery.trash import Trash
from .jobs.context import JobContext
from .jobs.handlers import HANDLERS
from .jobs.housekeeping import Housekeeping
from .jobs.job import Job, Kind
from .jobs.store import JobStore
from .jobs.worker import Worker
from .models.catalog.registry import Registry
from .settings import Settings

if TYPE_CHECKING:
    from .core.image_generator import ImageGenerator

log = logging.getLogger(__name__)


class FreedMemory(DeviceState):
    freed: list[str]
    """Names of the unloaded checkpoints."""


class CatalogState(TypedDict):
    checkpoints: int
    unusable_checkpoints: int
    loras: int
    problems: list[str]


class GalleryState(TypedDict):
    left_out: list[str]
    """Names of entries that cannot be shown because of their name."""


class Health(DeviceState):
    status: Literal["ok", "standstill"]
    version: str
    catalog: CatalogState
    gallery: GalleryState
    queue: dict[str, int]
    """Number of jobs by status."""
    queue_problem: str | None


@dataclass
class Services:
    """All shared services. Their methods are thread-safe."""

    settings: Settings
    registry: Registry
    store: JobStore
    outputs: Outputs
    inputs: InputImageStore
    thumbnails: Thumbnails
    trash: Trash
    worker: Worker
    housekeeping: Housekeeping
    calls: dict[str, str] = field(default_factory=dict)
    """Job that each waiting API call belongs to, by Gradio's event id."""

    @classmethod
    def start(cls, settings: Settings) -> Services:
        """Open the folders and the queue; a job that was running when the last server died is interrupted."""
        registry = Registry(settings)
        store = JobStore(settings.data_dir / "jobs.sqlite3", settings.max_queued)
        outputs = Outputs(settings)
        outputs.lock()  # also cleans up files that a crash left half written
        outputs.watch()
        inputs = InputImageStore(settings)
        worker = Worker(
            store,
            JobContext(
                settings, registry, outputs, inputs, lambda: _make_generator(settings, registry, inputs)
            ),
        )
        interrupted = worker.recover()
        if interrupted:
            log.warning("%d job(s) were interrupted when the studio last stopped", interrupted)
        return cls(
            settings,
            registry,
            store,
            outputs,
            inputs,
            Thumbnails(settings, outputs),
            Trash(settings, outputs),
            worker,
            Housekeeping(settings, store, worker.reserve, worker.obstacles),
        )

    @functools.cached_property
    def lora_previews(self) -> LoraPreviews:
        return LoraPreviews(self.settings, self.registry, self.outputs, self.thumbnails)

    def submit(self, asked: Mapping[str, Any], kind: Kind, owner: str | None = None) -> Job:
        """Validate and queue a job; page and API both submit through here.

        `asked`: the fields that the kind's handler accepts (`jobs.handlers`). The returned job holds the
        resolved request. Raises `RequestError` for invalid input; nothing is queued then.
        """
        request, warnings = HANDLERS[kind].prepare(self.worker.context, asked)
        return self.store.submit(request, kind=kind, owner=owner, warnings=warnings)

    def cancel_call(self, call: str) -> bool:
        """Cancel the job of a call that its client abandoned. False if the call waits for no job."""
        job_id = self.calls.get(call)
        if job_id is None:
            return False
        try:
            self.store.cancel(job_id)
        except RequestError:
            log.debug("Call %s was cancelled after its job %s had ended", call, job_id)
        return True

    def free_memory(self) -> FreedMemory:
        """Unload all models. Raises `RequestError` while a job runs."""
        held = self.worker.describe().get("in_memory", [])
        self.worker.free()
        return {"freed": held, **self.device()}

    def device(self) -> DeviceState:
        """The device. Does not import torch."""
        described = self.worker.describe()
        if described:
            return described
        memory = psutil.virtual_memory()
        return {
            "device": "starting",
            "memory_used": memory.total - memory.available,
            "memory_total": memory.total,
            "loaded": None,
        }

    def health(self) -> Health:
        checkpoints = self.registry.checkpoints()
        problem = self.housekeeping.stall_watchdog.problem
        return {
            "status": "ok" if problem is None else "standstill",
            "version": __version__,
            **self.device(),
            "catalog": {
                "checkpoints": sum(c.unusable is None for c in checkpoints),
                "unusable_checkpoints": sum(c.unusable is not None for c in checkpoints),
                "loras": len(self.registry.loras()),
                "problems": list(self.registry.problems),
            },
            "gallery": {"left_out": self.outputs.skipped.names()},
            "queue": self.store.counts(),
            "queue_problem": problem or self.store.pause_reason,
        }


def _make_generator(settings: Settings, registry: Registry, inputs: InputImageStore) -> ImageGenerator:
    # Imported late because it imports torch, which the studio does not need to start.
    from .core.image_generator import ImageGenerator

    return ImageGenerator(
        settings.device,
        registry,
        settings.memory,
        settings.precision,
        inputs,
        settings.compiled,
        settings.kernels,
    )


def inside(path: Path, folder: Path) -> bool:
    """Whether `path` is inside `folder`, with symlinks resolved."""
    return path.resolve().is_relative_to(folder.resolve())
