"""What the queue knows about one job, as an immutable snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import RequestError
from ..request import GenerationRequest, JobRequest

Kind = str
"""One of `handlers.HANDLERS`: "generate", "test", "upscale", "caption"."""
State = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]

FINAL: tuple[State, ...] = ("completed", "failed", "cancelled", "interrupted")
"""States that a job never leaves; a retry is a new job."""
RETRYABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")

AT_ONCE, AFTER_IMAGE = 1, 2
"""What the column `cancel_requested` holds beside 0."""


@dataclass(frozen=True)
class Job:
    """A job at one moment. Times are seconds since 1970, durations are seconds."""

    id: str
    kind: Kind
    state: State
    request: JobRequest
    """Of its kind's type; `generation_request` where only a picture's settings will do."""
    owner: str | None
    position: int | None
    """1 = next; only while queued."""
    created: float
    started: float | None
    finished: float | None
    step: int
    """Denoising steps done of the current image, or tiles of an upscaling, of `total`."""
    total: int
    image_index: int
    """The image being made, from 0."""
    status: str
    """What is going on, or how it ended; one line for people. Empty while it paints: the step tells."""
    run: str | None
    images: tuple[str, ...]
    """Ids of the finished images, as they finish."""
    warnings: tuple[str, ...]
    error: str | None
    """Why it failed or was interrupted; one sentence."""
    preview: int
    """0 = there is none; rises with each new preview."""
    cancel_requested: bool
    seconds_per_step: float | None = None
    """Measured in this job; None before there is something to go by."""
    seconds_left: float | None = None
    """Estimate for the running job from its own measured steps; None before there is something to go by."""
    cancel_after_image: bool = False
    """The cancel that was requested waits for the image being made."""
    retry_of: str | None = None
    """The job that this one repeats."""
    unreadable: str | None = None
    """Why the stored request does not validate any more (`request` then holds what could be read)."""
    result: dict[str, Any] | None = None
    """What came out beside pictures: {caption, style, captioner} of a caption job; else None."""

    @property
    def ended(self) -> bool:
        return self.state in FINAL

    @property
    def generation_request(self) -> GenerationRequest:
        """The settings of the pictures. Raises `RequestError` for a job that draws none."""
        if not isinstance(self.request, GenerationRequest):
            raise RequestError(f"Job {self.id} is of the kind {self.kind}; it has no settings of a picture.")
        return self.request

    @property
    def images_asked(self) -> int:
        """Pictures that the job makes when all goes well; 0 for a caption."""
        return self.request.images_asked

    def waited(self, now: float) -> float:
        """Seconds between submission and start, or until `now` (or the end) where it has not started."""
        return max(0.0, (self.started or self.finished or now) - self.created)

    @property
    def took(self) -> float | None:
        """Seconds from start to end; None where they are not known, as after the clock was set back."""
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
