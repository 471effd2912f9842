"""Progress reports of the core, and its results. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image


UNFINISHED_FORMAT = "webbduck-unfinished-1"
"""Name and version of the format of an `UnfinishedState`'s file."""


class UnfinishedState(Protocol):
    """The state of an unfinished job after a denoising step. Never modified, so that another thread may write
    it."""

    @property
    def index(self) -> int:
        """The image being drawn, from 0."""

    @property
    def step(self) -> int:
        """Steps done, as last reported by `ProgressReporter.step`."""

    @property
    def total(self) -> int:
        """Of how many steps."""

    def write(self, file: BinaryIO) -> None:
        """Write it as safetensors. The header's `__metadata__` has "index", "step" and "total" as decimal
        texts, "share" of the image's work that is done (0 to 1; it may be missing), and "format":
        `UNFINISHED_FORMAT`."""


@dataclass(frozen=True)
class Continuation:
    """Where a job goes on."""

    images: int = 0
    """Finished images of the batch, which are not drawn again."""
    state: Path | None = None
    """File of an `UnfinishedState` of image `images`; None = that image begins anew."""


class ProgressReporter(Protocol):
    """Receives the progress of a job. Called from the generating thread."""

    def worked(self, pictures: float, name: str) -> None:
        """How many of the job's pictures are done, the current one by the share of its planned work, and the
        pass that draws; "" where a picture has only one. Called before `step`, and after each tile."""

    def step(self, image_index: int, step: int, total: int) -> None:
        """Called after denoising step `step` (from 1) of `total` in a pass of this image."""

    def preview(self, image: Image) -> None:
        """A small RGB preview of the image being generated."""

    def wants_preview(self) -> bool:
        """Whether anyone is watching; previews are only rendered if so."""

    def check(self) -> None:
        """Raises `errors.CancelledError` when the user stopped the job, `SuspendedError` when it was put
        aside. Called at every step.

        Within an image, a job that was put aside must have been given the state of the last step, or it
        begins that image anew.
        """

    def wants_state(self) -> bool:
        """Whether `state` is to be called after this step. Called at every step, before `check`."""

    def state(self, state: UnfinishedState) -> None:
        """The state of the job, to be saved."""

    def status(self, text: str) -> None:
        """The current activity, in a few words: "Encoding the prompt"."""


class SilentReporter:
    """A `ProgressReporter` that ignores everything."""

    def worked(self, pictures: float, name: str) -> None: ...
    def step(self, image_index: int, step: int, total: int) -> None: ...
    def preview(self, image: Image) -> None: ...
    def wants_preview(self) -> bool:
        return False

    def check(self) -> None: ...
    def wants_state(self) -> bool:
        return False

    def state(self, state: UnfinishedState) -> None: ...
    def status(self, text: str) -> None: ...


@dataclass(frozen=True)
class GeneratedImage:
    """A finished image: `index` in its batch (from 0), and the seed that makes it alone."""

    index: int
    seed: int
    image: Image
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the image depends on: device, dtype, versions, resolved_prompt, loras, second_pass,
    drawn_together (with how many, itself counted), compiled (whether it was)."""
    stages: Mapping[str, Image] = field(default_factory=dict)
    """What was asked to be kept on the way to it, by the names of `request.stages.PASSES`."""
