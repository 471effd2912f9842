"""Builds the services that the page and the API share, one instance of each."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import psutil

from . import __version__, collector
from .core.device_state import DeviceState
from .core.memory_policies import POLICIES
from .core.pickles.conversions import Conversions
from .errors import RequestError, StorageError
from .gallery import metadata
from .gallery.input_images import InputImageStore
from .gallery.lora_previews import LoraPreviews
from .gallery.metadata.infotext_templates import changed_files
from .gallery.outputs import Outputs
from .gallery.style_previews import StylePreviews
from .gallery.thumbnails import Thumbnails
from .gallery.trash import Trash
from .jobs.context import JobContext
from .jobs.handlers import HANDLERS
from .jobs.housekeeping import Housekeeping
from .jobs.job import Job, Kind
from .jobs.store import JobStore
from .jobs.worker import Worker
from .models.catalog.registry import Registry
from .models.wildcard_edits import WildcardEditor
from .settings import MEMORY, Settings

if TYPE_CHECKING:
    from .core.image_generator import ImageGenerator

log = logging.getLogger(__name__)

AUTOMATIC = "automatic"
"""Stands for no memory policy of one's own."""


class FreedMemory(DeviceState):
    freed: list[str]
    """Names of the unloaded checkpoints."""


class MemoryPolicyState(TypedDict):
    name: str
    about: str


class StartOptions(TypedDict):
    """What the command line chose, which holds again after a restart."""

    memory: str | None
    compiled: bool


class DeviceSettings(DeviceState):
    policies: list[MemoryPolicyState]
    """All memory policies that can be chosen, from the fastest to the one that takes least memory."""
    started_with: StartOptions


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
        context = JobContext(settings, registry, outputs, inputs, lambda: _make_generator(context))
        worker = Worker(store, context)
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

    @functools.cached_property
    def conversions(self) -> Conversions:
        return Conversions(self.registry, file=self.settings.data_dir / "conversions.json")

    @functools.cached_property
    def wildcard_editor(self) -> WildcardEditor:
        return WildcardEditor(self.registry.wildcard_folder, self.settings.data_dir / "wildcard-versions")

    @functools.cached_property
    def style_previews(self) -> StylePreviews:
        return StylePreviews(self.settings, self.outputs, self.thumbnails)

    def submit(self, asked: Mapping[str, Any], kind: Kind, owner: str | None = None) -> Job:
        """Validate and queue a job; page and API both submit through here.

        `asked`: the fields that the kind's handler accepts (`jobs.handlers`). The returned job holds the
        resolved request. Raises `RequestError` for invalid input; nothing is queued then.
        """
        request, warnings = HANDLERS[kind].prepare(self.worker.context, asked)
        return self.store.submit(request, kind=kind, owner=owner, warnings=warnings)

    def submit_again(self, job_id: str, owner: str | None = None) -> Job:
        """Queue the settings of a job that generated pictures again, with a new random seed.

        Raises `NotFoundError`, `QueueFullError`, and `RequestError` for a job of another kind, or where a
        model or input picture is no longer there.
        """
        job = self.store.get(job_id)
        return self.submit({**job.generation_request.model_dump(), "seed": None}, job.kind, owner)

    def retry(self, job_id: str, owner: str | None = None) -> Job:
        """As `JobStore.retry`, with a warning if wildcards that its images were drawn from have changed."""
        changed: list[str] = []
        for image in self.store.get(job_id).images:
            try:
                chunk = metadata.read(self.outputs.resolve(image))["webbduck"] or {}
            except (RequestError, StorageError):
                continue  # deleted, or damaged
            if files := changed_files(self.registry.wildcard_folder, chunk.get("facts") or {}):
                changed.append(f"The prompt may come to other words than before: {files}.")
        return self.store.retry(job_id, owner, list(dict.fromkeys(changed)))

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

    def choose_device(self, memory: object = "", compiled: object = None) -> None:
        """Change what is given; it holds from the next job on, also after a restart.

        `memory`: one of `MEMORY`, `AUTOMATIC`, or "" = unchanged. `compiled`: None = unchanged. Raises
        `RequestError`, and `StorageError` if it cannot be kept; nothing is changed then.
        """
        changed: dict[str, str | bool | None] = {}
        if memory != "":
            if not isinstance(memory, str) or memory not in (AUTOMATIC, *MEMORY):
                raise RequestError(f"memory must be one of: {', '.join((AUTOMATIC, *MEMORY))}.")
            changed["memory"] = None if memory == AUTOMATIC else memory
        if compiled is not None:
            if not isinstance(compiled, bool):
                raise RequestError("compile must be true or false.")
            changed["compiled"] = compiled
        if changed:
            self.worker.context.device_choices.change(**changed)
            self.worker.apply_choice()

    def device_settings(self) -> DeviceSettings:
        """The device, and what can be chosen about it."""
        return {
            **self.device(),
            "policies": [{"name": each.name, "about": each.about} for each in POLICIES],
            "started_with": {"memory": self.settings.memory, "compiled": self.settings.compiled},
        }

    def device(self) -> DeviceState:
        """The device, with what is chosen even where the core does not work by it yet. Does not import
        torch."""
        choice = self.worker.context.device_choices.current
        chosen: DeviceState = {"memory": choice.memory, "compiled": choice.compiled}
        if described := self.worker.describe():
            if not choice.compiled:
                chosen["compile_problem"] = None
            return {**described, **chosen}
        memory = psutil.virtual_memory()
        return {
            "device": "starting",
            "memory_used": memory.total - memory.available,
            "memory_total": memory.total,
            "loaded": None,
            **chosen,
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


def _make_generator(context: JobContext) -> ImageGenerator:
    # Imported late because it imports torch, which the studio does not need to start.
    with collector.paused():
        from .core.image_generator import ImageGenerator

    settings, choice = context.settings, context.device_choices.current
    return ImageGenerator(
        settings.device,
        context.registry,
        choice.memory,
        settings.precision,
        context.inputs,
        choice.compiled,
        settings.kernels,
    )


def inside(path: Path, folder: Path) -> bool:
    """Whether `path` is inside `folder`, with symlinks resolved."""
    return path.resolve().is_relative_to(folder.resolve())
