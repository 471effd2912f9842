"""Recovery after a crash: finds the images that the interrupted job had finished."""

from __future__ import annotations

import json
import logging
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError
from ..request import RedrawRequest, UpscaleRequest
from ..storage.atomic import write_atomically
from ..storage.reading import read_json
from .job import Job, State
from .store import JobStore

if TYPE_CHECKING:
    from ..gallery.outputs import Outputs

log = logging.getLogger(__name__)

COPYING = (UpscaleRequest, RedrawRequest)
"""Requests for a copy of one image."""


def recover(store: JobStore, outputs: Outputs) -> int:
    """Mark the job that was running as interrupted, with all its images; returns the number of such jobs.

    Call at start, before anything runs. An image saved just before a kill may not be recorded in the store;
    the same holds for a job that a shutdown marked as interrupted while it was still running. An unreadable
    run never prevents the start.
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
            if isinstance(job.request, COPYING):
                if pictures and job.state == "running":  # such a job makes a single image
                    store.finish(job.id, "completed")
            elif job.run is not None:
                ended: State = "interrupted"
                if job.state == "running" and store.get(job.id).finished_images >= job.images_asked:
                    ended = "completed"
                    store.finish(job.id, ended)
                _reconcile_record(store, outputs, job, job.run, pictures, ended)
        except NotFoundError:
            pass  # no image was saved, or the user deleted the run
        except Exception:
            log.exception("The images of the interrupted job %s could not be recovered", job.id)
    return store.recover()


def _pictures(outputs: Outputs, job: Job) -> list[str]:
    if job.run is None:  # an upscaled image is saved beside its original
        return outputs.copies_by(job.id, job.request.image) if isinstance(job.request, COPYING) else []
    ending = f".{getattr(job.request, 'output_format', 'png')}"
    paths = [PurePosixPath(image_id) for image_id in outputs.images_of(job.run)]
    # Excludes upscaled images (0_upscaled.png) and files of other origin (0.jpg).
    return [str(path) for path in paths if path.stem.isdecimal() and path.suffix == ending]


def _reconcile_record(
    store: JobStore, outputs: Outputs, job: Job, run: str, pictures: list[str], ended: State
) -> None:
    """Make store and meta.json agree: a completed run completes the job, any other one has `ended` so. A kill
    may have come between a picture and its record."""
    path, names = outputs.root / run / "meta.json", [PurePosixPath(each).name for each in pictures]
    try:
        meta: Any = read_json(path)
    except FileNotFoundError:
        meta = {"images": {}}
    except (OSError, ValueError) as error:
        log.warning("The record of the interrupted run %s could not be read: %s", run, error)
        return
    recorded = meta.get("images") if isinstance(meta, dict) else None
    if isinstance(recorded, dict) and not set(names) <= set(recorded):
        reopened = outputs.reopen_run(run, job.generation_request, job.kind, job.id, job.owner)
        reopened.take_up(names)
        reopened.close(ended)
        return
    state = meta.get("state") if isinstance(meta, dict) else None
    if state == "completed" and job.state == "running":
        store.finish(job.id, "completed")
    # A job that goes on has its earlier state in the record until its next image.
    elif state in ("running", "suspended", "interrupted") and state != ended:
        # ASCII, since texts may contain lone surrogates, which UTF-8 cannot encode.
        text = json.dumps({**meta, "state": ended}, indent=2)
        write_atomically(path, lambda file: file.write(text.encode("ascii")), outputs.temporary)
        outputs.changed()
