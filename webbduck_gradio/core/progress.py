"""Progress reports of the core, and its results. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image


class ProgressReporter(Protocol):
    """Receives the progress of a job. Called from the generating thread."""

    def step(self, image_index: int, step: int, total: int) -> None:
        """Called after denoising step `step` (from 1) of this image's `total` steps."""

    def preview(self, image: Image) -> None:
        """A small RGB preview of the image being generated."""

    def wants_preview(self) -> bool:
        """Whether anyone is watching; previews are only rendered if so."""

    def check(self) -> None:
        """Raises `errors.CancelledError` when the user stopped the job. Called at every step."""

    def status(self, text: str) -> None:
        """The current activity, in a few words: "Loading webbduck-starter"."""


class SilentReporter:
    """A `ProgressReporter` that ignores everything."""

    def step(self, image_index: int, step: int, total: int) -> None: ...
    def preview(self, image: Image) -> None: ...
    def wants_preview(self) -> bool:
        return False

    def check(self) -> None: ...
    def status(self, text: str) -> None: ...


@dataclass(frozen=True)
class GeneratedImage:
    """A finished image: `index` in its batch (from 0), and the seed that makes it alone."""

    index: int
    seed: int
    image: Image
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the image depends on: device, dtype, versions, resolved_prompt, loras, second_pass."""
