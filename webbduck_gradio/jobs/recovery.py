"""After an unclean end: the pictures that the job had finished are found again."""

from __future__ import annotations

import json
import logging
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError
from ..request import UpscaleRequest
from ..storage.atomic import write_atomically
from ..storage.reading import read_json
from .job import Job
from .store import JobStore

if TYPE_CHECKING:
    from ..gallery.outputs import Outputs

log = logging.getLogger(__name__)


def recover(store: JobStore, outputs: Outputs) -> int:
    """At start, before anything runs: mark the job that ran as interrupted, with all its pictures. How many.

    A kill between the saving of a picture and its entry in the queue must not lose it. The same
    happens to a job that a hurried shutdown had marked already while it was still at work. What cannot
    be read of its run costs that alone, never the start.
    """
    last = next(iter(store.recent(1)), None)
    stopped = last if last is not None and last.state == "interrupted" else None
    for job in (store.running(), stopped):
        if job is None:
            continue
        try:
            pictures = _pictures(outputs, job)
            for image_id in pictures:
                store.image_done(job.id, image_id)
            if isinstance(job.request, UpscaleRequest):
                if pictures and job.state == "running":  # one copy is all that it had to make
                    store.finish(job.id, "completed")
            elif job.run is not None:
                _settle_record(store, outputs, job, job.run)
        except NotFoundError:
            pass  # no picture was saved, or the user deleted the run
        except Exception:
            log.exception("The pictures of the interrupted job %s could not be looked for", job.id)
    return store.recover()


def _pictures(outputs: Outputs, job: Job) -> list[str]:
    if job.run is None:  # a copy goes beside its original
        return outputs.copies_by(job.id, job.request.image) if isinstance(job.request, UpscaleRequest) else []
    ending = f".{getattr(job.request, 'output_format', 'png')}"
    paths = [PurePosixPath(image_id) for image_id in outputs.images_of(job.run)]
    # Neither what was made of them later (0_upscaled.png) nor what somebody else put there (0.jpg).
    return [str(path) for path in paths if path.stem.isdecimal() and path.suffix == ending]


def _settle_record(store: JobStore, outputs: Outputs, job: Job, run: str) -> None:
    """Queue and meta.json agree: a run that had been closed is a finished job, any other was interrupted."""
    path = outputs.root / run / "meta.json"
    try:
        meta: Any = read_json(path)
    except (OSError, ValueError) as error:
        log.warning("The record of the interrupted run %s could not be read: %s", run, error)
        return
    state = meta.get("state") if isinstance(meta, dict) else None
    if state == "completed" and job.state == "running":
        store.finish(job.id, "completed")
    elif state == "running":
        # ASCII, since a text in it may hold what UTF-8 cannot.
        text = json.dumps({**meta, "state": "interrupted"}, indent=2)
        write_atomically(path, lambda file: file.write(text.encode("ascii")), outputs.temporary)
        outputs.changed()
