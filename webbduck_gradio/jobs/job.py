"""A job of the queue, as an immutable snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import RequestError
from ..request import GenerationRequest, JobRequest

Kind = str
"""One of `handlers.HANDLERS`: "generate", "test", "upscale", "caption"."""
State = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]

FINAL: tuple[State, ...] = ("completed", "failed", "cancelled", "interrupted")
"""Final states; a retry is a new job."""
RETRYABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")

AT_ONCE, AFTER_IMAGE = 1, 2
"""Values of the column `cancel_requested` other than 0."""


@dataclass(frozen=True)
class Job:
    """A job at one moment. Times are in seconds since 1970, durations in seconds."""

    id: str
    kind: Kind
    state: State
    request: JobRequest
    """Of its kind's request type; see also `generation_request`."""
    owner: str | None
    position: int | None
    """1 = next; only while queued."""
    created: float
    started: float | None
    finished: float | None
    step: int
    """Denoising steps of the current image, or tiles of an upscaling, completed out of `total`."""
    total: int
    image_index: int
    """Index of the current image, from 0."""
    status: str
    """The current activity, or how the job ended, in one line. Empty while `step` counts."""
    run: str | None
    images: tuple[str, ...]
    """Ids of the images finished so far."""
    warnings: tuple[str, ...]
    error: str | None
    """Why it failed or was interrupted, in one sentence."""
    preview: int
    """Number of the current preview; 0 = none yet."""
    cancel_requested: bool
    seconds_per_step: float | None = None
    """Measured in this job; None before enough steps were measured."""
    seconds_left: float | None = None
    """Estimate from this job's measured steps; None before enough were measured."""
    cancel_after_image: bool = False
    """Whether the requested cancellation waits for the current image."""
    retry_of: str | None = None
    """The job that this one repeats."""
    unreadable: str | None = None
    """Why the stored request does not validate any more; `request` then has the fields that do."""
    result: dict[str, Any] | None = None
    """The result other than images: {caption, style, captioner, image} of a caption job; else None."""

    @property
    def ended(self) -> bool:
        return self.state in FINAL

    @property
    def generation_request(self) -> GenerationRequest:
        """The request of a generation job. Raises `RequestError` for a job of another kind."""
        if not isinstance(self.request, GenerationRequest):
            raise RequestError(f"Job {self.id} is of the kind {self.kind}; it has no picture settings.")
        return self.request

    @property
    def images_asked(self) -> int:
        """Number of images that the job makes if it completes; 0 for a caption."""
        return self.request.images_asked

    def waited(self, now: float) -> float:
        """Seconds from submission to start; for a job that has not started, to its end or `now`."""
        return max(0.0, (self.started or self.finished or now) - self.created)

    @property
    def took(self) -> float | None:
        """Seconds from start to end; None if unknown, for example because the clock was set back."""
        if self.started is None or self.finished is None or self.finished < self.started:
            return None
        return self.finished - self.started


def kept_text(done: int, asked: int) -> str:
    """'2 of 4 images kept'; `asked` is 0 for a caption."""
    if not asked:
        return "no caption was made"
    if not done:
        return "no image was finished"
    return f"{done} of {asked} image{'s' if asked != 1 else ''} kept"
