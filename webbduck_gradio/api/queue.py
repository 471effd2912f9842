"""The endpoints about jobs and the studio's state. They answer at once."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..errors import RequestError
from ..services import Services
from . import serializers
from .endpoints import endpoint
from .gradio_helpers import whole_number
from .job_results import owner_of


@endpoint()
def queue(services: Services) -> dict[str, Any]:
    """The running job, the queued ones in order, and the last that ended."""
    services.worker.previews.mark_watched()
    return serializers.queue_view(services)


@endpoint()
def job(services: Services, job_id: str) -> dict[str, Any]:
    """One job."""
    services.worker.previews.mark_watched()
    return serializers.job_view(services, services.store.get(job_id))


@endpoint()
def cancel(services: Services, job_id: str, after_image: bool = False) -> dict[str, Any]:
    """Cancel a queued job at once, the running one at its next step or after the image that it is at;
    finished images are kept."""
    if not isinstance(after_image, bool):
        raise RequestError("after_image must be true or false.")
    return serializers.job_view(services, services.store.cancel(job_id, after_image))


@endpoint()
def retry(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """A failed, cancelled or interrupted job again, with the same seeds, as a new job."""
    return serializers.job_view(services, services.store.retry(job_id, owner_of(request)))


@endpoint()
def pause(services: Services) -> dict[str, Any]:
    """Start no further job; the running one ends first."""
    services.store.pause()
    return serializers.queue_view(services)


@endpoint()
def resume(services: Services) -> dict[str, Any]:
    """Go on after /pause."""
    services.store.resume()
    return serializers.queue_view(services)


@endpoint()
def move(services: Services, job_id: str, position: int | str) -> dict[str, Any]:
    """Move a queued job: to a position (1 = next), or "up", "down", "top", "bottom"."""
    services.store.get(job_id)  # one job: the store itself would take several
    services.store.move(job_id, whole_number(position))
    return serializers.queue_view(services)


@endpoint()
def health(services: Services) -> dict[str, Any]:
    """Device, memory, catalog, queue, loaded checkpoint, versions."""
    return services.health()
