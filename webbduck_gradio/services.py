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
from .gallery.outputs import Outputs
from .gallery.thumbnails import Thumbnails
from .gallery.trash import Trash
from .jobs.handlers import image_tools
from .jobs.housekeeping import Housekeeping
from .jobs.job import Job, Kind
from .jobs.store import JobStore
from .jobs.worker import Worker
from .models.catalog.registry import Registry
from .settings import Settings
from .ui.loras.previews import LoraPreviews

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
        worker = Worker(store, registry, outputs, settings, lambda: _make_generator(registry, settings))
        interrupted = worker.recover()
        if interrupted:
            log.warning("%d job(s) were interrupted when the studio last stopped", interrupted)
        return cls(
            settings,
            registry,
            store,
            outputs,
            InputImageStore(settings),
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

        Raises `RequestError` with one sentence for whatever does not fit, before anything is queued.
        """
        request = self.registry.build_request(asked)
        warnings = self.registry.validate_request(request)
        # Named by their ids they may have come by way of another output folder.
        self.inputs.owners.mark(*(each for each in (request.image, request.mask) if each))
        return self.store.submit(request, kind=kind, owner=owner, warnings=warnings)

    def submit_upscale(self, asked: Mapping[str, Any], owner: str | None = None) -> Job:
        """Ask for a larger copy of a picture: `image` (an id of ours), `scale`, `upscaler`.

        Raises as `submit`; what will run stands in the job's request.
        """
        request, warnings = image_tools.settle_upscale(self.registry, self.outputs, asked)
        return self.store.submit(request, kind="upscale", owner=owner, warnings=warnings)

    def submit_caption(self, asked: Mapping[str, Any], owner: str | None = None) -> Job:
        """Ask for a picture's words: `image` (an id of ours), `style`, `captioner`, `max_tokens`.

        Raises as `submit`. The words come as the ended job's `result`: {caption, style, captioner, image}.
        """
        request, warnings = image_tools.settle_caption(self.registry, self.outputs, asked)
        return self.store.submit(request, kind="caption", owner=owner, warnings=warnings)

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
        """Let go of the models in memory: `device`, and `freed`, the names of what was there.

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


def _make_generator(registry: Registry, settings: Settings) -> ImageGenerator:
    # Torch is imported here, when the first job (or the warm-up) needs it.
    from .core.image_generator import ImageGenerator

    return ImageGenerator(settings.device, registry, settings.memory, settings.precision)


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, symlinks resolved, lies in `folder`."""
    return path.resolve().is_relative_to(folder.resolve())
