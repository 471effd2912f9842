"""A job of the queue, as an immutable snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import RequestError
from ..request import GenerationRequest, JobRequest

Kind = str
"""One of `handlers.HANDLERS`: "generate", "test", "upscale", "redraw", "caption", "detect"."""
State = Literal["queued", "running", "suspended", "completed", "failed", "cancelled", "interrupted"]

FINAL: tuple[State, ...] = ("completed", "failed", "cancelled", "interrupted")
"""Final states; a retry is a new job."""
RETRYABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")

AT_ONCE, AFTER_IMAGE = 1, 2
"""Values of the column `cancel_requested` other than 0."""


@dataclass(frozen=True)
class ContinuesAt:
    """Where a job goes on: with image `image` (from 0), after `step` of `total` steps, as they were reported
    last. That image begins anew if `step` is 0; `total` is None then."""

    image: int
    step: int = 0
    total: int | None = None
    share: float | None = None
    """Of the image's work, 0 to 1; None = that of the steps."""

    @property
    def pictures(self) -> float:
        """How many of the job's pictures are done, this one by its share."""
        of_steps = self.step / self.total if self.total else 0.0
        return self.image + (of_steps if self.share is None else self.share)


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
    pictures: float = 0.0
    """While it runs, how many of its pictures are done, the current one by the share of its work."""
    pass_name: str = ""
    """What draws, where a picture has several passes."""
    seconds_left: float | None = None
    """Estimate from this job's measured steps; None before enough were measured."""
    cancel_after_image: bool = False
    """Whether the requested cancellation waits for the current image."""
    retry_of: str | None = None
    """The job that this one repeats."""
    unreadable: str | None = None
    """Why the stored request does not validate any more; `request` then has the fields that do."""
    suspending: bool = False
    """Whether the job is put aside as soon as its state can be saved."""
    suspended: float | None = None
    """When it was put aside last."""
    continued: float | None = None
    """When it was queued to go on."""
    earlier_seconds: float | None = 0.0
    """Time that it ran before it was put aside; None if unknown, after a crash."""
    continues_at: ContinuesAt | None = None
    """Where it goes on, if it can: only while it is put aside, interrupted, or queued to go on."""
    result: dict[str, Any] | None = None
    """The result other than images: as the handlers of "caption" and "detect" say; else None."""

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
        """Number of images that the job makes if it completes; 0 for a caption or a detection."""
        return self.request.images_asked

    @property
    def progress(self) -> float:
        """Completed fraction of the whole job, 0 to 1; it never falls while the job runs."""
        if self.state == "suspended" and self.continues_at:
            pictures = self.continues_at.pictures
        elif self.state == "running":
            pictures = self.pictures
        else:
            return 1.0 if self.state == "completed" else 0.0
        return min(1.0, pictures / max(1, self.images_asked))

    @property
    def finished_images(self) -> int:
        """Number of images that are not made again if the job goes on, also if they were deleted since."""
        indexes = (index_of(image) for image in self.images)
        return max((index + 1 for index in indexes if index is not None), default=0)

    @property
    def can_continue(self) -> bool:
        return self.continues_at is not None and self.state in ("suspended", "interrupted")

    def waited(self, now: float) -> float:
        """Seconds from submission, or from when it was to go on, to start; for a job that has not started, to
        its end or `now`."""
        return max(0.0, (self.started or self.finished or now) - (self.continued or self.created))

    @property
    def took(self) -> float | None:
        """Seconds that it ran; None if unknown, for example because the clock was set back."""
        if self.started is None or self.finished is None or self.finished < self.started:
            return None
        return None if self.earlier_seconds is None else self.earlier_seconds + self.finished - self.started


def index_of(image_id: str) -> int | None:
    """Index in its batch of the image "RUN/3.png"; None for a name of another form."""
    number = image_id.rsplit("/", 1)[-1].split(".")[0].split("_")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def kept_text(done: int, asked: int) -> str:
    """'2 of 4 images kept'; `asked` is 0 for a caption or a detection."""
    if not asked:
        return "nothing was made"
    if not done:
        return "no image was finished"
    return f"{done} of {asked} image{'s' if asked != 1 else ''} kept"
