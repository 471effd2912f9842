"""After an unclean end: the pictures that the job had finished are found again."""

from __future__ import annotations

import json
import logging
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..errors import StorageError, UnknownName
from ..gallery.files import write_atomically
from .job import Job
from .store import Store

if TYPE_CHECKING:
    from ..gallery.storage import Outputs

log = logging.getLogger(__name__)


def recover(store: Store, outputs: Outputs) -> int:
    """At start, before anything runs: mark the job that ran as interrupted, with all its pictures. How many.

    A kill between the saving of a picture and its entry in the queue must not lose it. The same
    happens to a job that a hurried shutdown had marked already while it was still at work.
    """
    last = next(iter(store.recent(1)), None)
    stopped = last if last is not None and last.state == "interrupted" else None
    for job in (store.running(), stopped):
        if job is not None and job.run is not None:
            _find_pictures(store, outputs, job, job.run)
    return store.recover()


def _find_pictures(store: Store, outputs: Outputs, job: Job, run: str) -> None:
    try:
        ending = f".{getattr(job.request, 'output_format', 'png')}"
        for image_id in outputs.images_of(run):
            path = PurePosixPath(image_id)
            # Neither what was made of them later (0_upscaled.png) nor what somebody else put there (0.jpg).
            if path.stem.isdecimal() and path.suffix == ending:
                store.image_done(job.id, image_id)
        _close_record(outputs, run)
    except UnknownName:
        pass  # no picture was saved, or the user deleted the run
    except (OSError, StorageError) as error:
        log.warning("The pictures of the interrupted job %s could not be looked through: %s", job.id, error)


def _close_record(outputs: Outputs, run: str) -> None:
    """The run's meta.json still says that the job is running."""
    path = outputs.root / run / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    if isinstance(meta, dict) and meta.get("state") == "running":
        meta["state"] = "interrupted"
        text = json.dumps(meta, ensure_ascii=False, indent=2)
        write_atomically(path, lambda file: file.write(text.encode("utf-8")), outputs.temporary)
        outputs.changed()
