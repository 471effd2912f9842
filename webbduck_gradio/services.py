"""The floors below, made once and handed to everything in the page and the API."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from . import __version__
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


@dataclass
class Services:
    """One of each; every method of theirs may be called from any thread."""

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
    """Job of each API call that waits for one, by Gradio's id of the call."""

    @classmethod
    def start(cls, settings: Settings) -> Services:
        """Open the folders and the queue; what was running when the last server died becomes interrupted."""
        registry = Registry(settings)
        store = JobStore(settings.data_dir / "jobs.sqlite3", settings.max_queued)
        outputs = Outputs(settings)
        outputs.lock()  # tidies up what a crash left half written
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
        """The one way into the queue, for the page and the API alike.

        `asked`: as the kind's handler takes it (`jobs.handlers`); what will run stands in the job's request.
        Raises `RequestError` with one sentence for whatever does not fit, before anything is queued.
        """
        request, warnings = HANDLERS[kind].prepare(self.worker.context, asked)
        return self.store.submit(request, kind=kind, owner=owner, warnings=warnings)

    def cancel_call(self, call: str) -> bool:
        """A client gave up its call: cancel its job and no other. False where the call waits for none."""
        job_id = self.calls.get(call)
        if job_id is None:
            return False
        try:
            self.store.cancel(job_id)
        except RequestError:
            log.debug("Call %s was cancelled when its job %s had ended", call, job_id)
        return True

    def free_memory(self) -> dict[str, Any]:
        """Unload the models in memory: `device`, and `freed`, the names of what was there.

        Raises `RequestError` while a job runs.
        """
        held = self.worker.describe().get("in_memory", [])
        self.worker.free()
        return {"freed": held, **self.device()}

    def device(self) -> dict[str, Any]:
        """The device line: what is known without waking torch up before it is needed."""
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

    def health(self) -> dict[str, Any]:
        checkpoints = self.registry.checkpoints()
        stands = self.housekeeping.standstill.problem
        return {
            "status": "ok" if stands is None else "standstill",
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
            "queue_problem": stands or self.store.pause_reason,
        }


def _make_generator(settings: Settings, registry: Registry, inputs: InputImageStore) -> ImageGenerator:
    # Torch is imported here, when the first job (or the warm-up) needs it.
    from .core.image_generator import ImageGenerator

    return ImageGenerator(settings.device, registry, settings.memory, settings.precision, inputs)


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, symlinks resolved, lies in `folder`."""
    return path.resolve().is_relative_to(folder.resolve())
