"""What the studio has to know of one kind of job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...core.progress import ProgressReporter
from ...request import JobRequest
from ..context import JobContext, is_input
from ..job import Job

if TYPE_CHECKING:
    from PIL.Image import Image


class RunningJob(ProgressReporter, Protocol):
    """The job at work, as its handler sees it. Each call may raise `StorageError`."""

    @property
    def job(self) -> Job:
        """As it was when it started."""

    def check_between_images(self) -> None:
        """Raises `CancelledError` also where the user wants to stop once an image is finished."""

    def warn(self, texts: Sequence[str]) -> None:
        """Add warnings to the job; the same one only once."""

    def save(
        self, index: int, image: Image, seed: int, warnings: Sequence[str], facts: Mapping[str, Any]
    ) -> None:
        """Save picture `index` of the batch into the job's own run, with its metadata."""

    def run_started(self, run: str) -> None:
        """The job's pictures go to this run of the outputs; not needed before `save`."""

    def image_done(self, image_id: str) -> None:
        """A picture was saved by other means than `save`."""

    def set_result(self, result: Mapping[str, Any]) -> None:
        """What the job made that is no picture (JSON values)."""


class JobHandler(ABC):
    """A kind of job: building its request, running it, and how it is called. Holds no state."""

    request_type: ClassVar[type[JobRequest]]
    step_name: ClassVar[str] = "Step"
    """What is counted while it runs."""

    @abstractmethod
    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[JobRequest, Sequence[str]]:
        """The request to queue, and warnings about what will differ from what was asked.

        Raises `RequestError`, `NotFoundError` or `ModelError` with one sentence for what cannot be done.
        """

    @abstractmethod
    def run(self, context: JobContext, running: RunningJob) -> None:
        """Do the work, in the core's thread. Raises `CancelledError` or any `WebbDuckError`."""

    @abstractmethod
    def title(self, request: JobRequest) -> str:
        """What the job is about, in one line."""

    def obstacle(self, context: JobContext, request: JobRequest) -> str | None:
        """Why the job has to wait for a folder that is away, in one sentence; None where it need not."""
        return None

    def log_details(self, job: Job) -> list[str]:
        """For the log's line about a job that ended; what should be painted stays out of it."""
        return []


def picture_name(image: str) -> str:
    """A picture's id in a title; one of an upload says nothing to people."""
    return "an input picture" if is_input(image) else image


def given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Without the values that are None, which stand for the default."""
    return {key: value for key, value in asked.items() if value is not None}
