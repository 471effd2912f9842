"""Interface of a job kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...core.progress import Continuation, ProgressReporter
from ...request import JobRequest
from ..context import JobContext, is_input
from ..job import Job

if TYPE_CHECKING:
    from PIL.Image import Image


class RunningJob(ProgressReporter, Protocol):
    """The running job, as its handler sees it. Each call may raise `StorageError`."""

    @property
    def job(self) -> Job:
        """Snapshot from when it was started."""

    @property
    def continuation(self) -> Continuation:
        """Where it starts: at the beginning, or where it was put aside or interrupted."""

    def check_between_images(self) -> None:
        """Like `check`, but also raises `CancelledError` if the job was cancelled after the current image."""

    def warn(self, texts: Sequence[str]) -> None:
        """Add warnings to the job; duplicates are ignored."""

    def save(
        self,
        index: int,
        image: Image,
        seed: int,
        warnings: Sequence[str],
        facts: Mapping[str, Any],
        stages: Mapping[str, Image],
    ) -> None:
        """Save image `index` of the batch in the job's own run, with its metadata, and the stages beside
        it."""

    def run_started(self, run: str) -> None:
        """Record the run that the job's images are saved in; `save` does that itself."""

    def image_done(self, image_id: str) -> None:
        """Record an image that was saved by other means than `save`."""

    def set_result(self, result: Mapping[str, Any]) -> None:
        """Record the job's result other than images (JSON values)."""


class JobHandler(ABC):
    """A job kind: builds requests, runs jobs, and describes them. Stateless."""

    request_type: ClassVar[type[JobRequest]]
    step_name: ClassVar[str] = "Step"
    """Name of the unit of progress."""
    can_be_suspended: ClassVar[bool] = False
    """Whether its jobs report states from which they can go on."""

    @abstractmethod
    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[JobRequest, Sequence[str]]:
        """The request to queue, and warnings about what will differ from `asked`.

        Raises `RequestError`, `NotFoundError` or `ModelError`.
        """

    @abstractmethod
    def run(self, context: JobContext, running: RunningJob) -> None:
        """Run the job; called on the core's thread. Raises `CancelledError` or any other `WebbDuckError`."""

    @abstractmethod
    def title(self, request: JobRequest) -> str:
        """One-line description of the job."""

    def obstacle(self, context: JobContext, request: JobRequest) -> str | None:
        """Why the job has to wait for a folder, as a message for the user; None if it can run."""
        return None

    def log_details(self, job: Job) -> list[str]:
        """Details for the log line of a job that ended; without its prompts."""
        return []


def picture_name(image: str) -> str:
    """An image's name in a title; the id of an upload is a hash, which is not worth showing."""
    return "an input picture" if is_input(image) else image


def given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """`asked` without None values, which mean the default."""
    return {key: value for key, value in asked.items() if value is not None}
