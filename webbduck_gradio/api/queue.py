"""The endpoints about jobs and the studio's state. They return immediately."""

from __future__ import annotations

import gradio as gr

from ..errors import RequestError
from ..services import Health, Services
from . import serializers
from .answers import JobAnswer, QueueAnswer
from .endpoints import endpoint
from .gradio_helpers import whole_number
from .job_results import owner_of


@endpoint()
def queue(services: Services) -> QueueAnswer:
    """The running job, the queued jobs in order, and the jobs that ended last."""
    services.worker.previews.mark_watched()
    return serializers.queue_view(services)


@endpoint()
def job(services: Services, job_id: str) -> JobAnswer:
    """One job."""
    services.worker.previews.mark_watched()
    return serializers.job_view(services, services.store.get(job_id))


@endpoint()
def cancel(services: Services, job_id: str, after_image: bool = False) -> JobAnswer:
    """Cancel a queued or suspended job at once, the running one at its next step or after its current image.
    Finished images are kept."""
    if not isinstance(after_image, bool):
        raise RequestError("after_image must be true or false.")
    return serializers.job_view(services, services.store.cancel(job_id, after_image))


@endpoint()
def retry(services: Services, job_id: str, request: gr.Request | None = None) -> JobAnswer:
    """Run a failed, cancelled or interrupted job again with the same seeds, as a new job."""
    return serializers.job_view(services, services.retry(job_id, owner_of(request)))


@endpoint()
def suspend(services: Services, job_id: str) -> JobAnswer:
    """Put the running job aside after its current step, to go on later with /continue; its status is then
    "suspended", and the next job starts. Only for jobs that generate pictures."""
    return serializers.job_view(services, services.store.suspend(job_id))


@endpoint()
def continue_(services: Services, job_id: str) -> JobAnswer:
    """Put a suspended job, or an interrupted one that can go on, at the top of the queue. It ends with the
    same pictures as without a break."""
    return serializers.job_view(services, services.store.continue_job(job_id))


@endpoint()
def pause(services: Services) -> QueueAnswer:
    """Pause the queue: no further job is started; the running one continues."""
    services.store.pause()
    return serializers.queue_view(services)


@endpoint()
def resume(services: Services) -> QueueAnswer:
    """Resume the queue after /pause."""
    services.store.resume()
    return serializers.queue_view(services)


@endpoint()
def move(services: Services, job_id: str, position: int | str) -> QueueAnswer:
    """Move a queued job: to a position (1 = next), or "up", "down", "top", "bottom"."""
    services.store.get(job_id)  # rejects a list, which `move` would accept
    services.store.move(job_id, whole_number(position))
    return serializers.queue_view(services)


@endpoint()
def health(services: Services) -> Health:
    """Device, memory, catalog, queue, loaded checkpoint, versions."""
    return services.health()
