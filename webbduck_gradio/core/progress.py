"""What the core tells while it works, and what it hands out. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image


class ProgressReporter(Protocol):
    """Who wants to know how a job gets on. Called in the thread that generates."""

    def step(self, image_index: int, step: int, total: int) -> None:
        """After denoising step `step` (from 1) of `total`, the number that this picture takes."""

    def preview(self, image: Image) -> None:
        """A small RGB picture of what is being drawn."""

    def wants_preview(self) -> bool:
        """Asked before a preview is made, so that nobody pays for one that is not looked at."""

    def check(self) -> None:
        """Raises `errors.Cancelled` when the user stopped the job. Asked at every step."""

    def status(self, text: str) -> None:
        """What is going on, in a few words: "Loading webbduck-starter"."""


class SilentReporter:
    """A `ProgressReporter` that nobody listens to."""

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
    """What took part beside the request: device, dtype, versions, resolved_prompt, loras, second_pass."""
