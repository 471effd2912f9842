"""Tells the tiles of an upscaler that works within a pass of a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .progress import ProgressReporter

if TYPE_CHECKING:
    from PIL import Image

    from .progress import UnfinishedState


class TileReporter:
    """Reports steps as a status, since they are none of the picture's own."""

    def __init__(self, reporter: ProgressReporter, name: str, worked: Callable[[float], None]):
        """`reporter`: the job's. `worked`: called with the share of tiles that is done, 0 to 1."""
        self._reporter, self._name, self._worked = reporter, name, worked

    def worked(self, pictures: float, name: str) -> None:
        self._reporter.worked(pictures, name)

    def step(self, image_index: int, step: int, total: int) -> None:
        self._worked(step / total)
        self._reporter.status(f"{self._name}, tile {step} of {total}")

    def status(self, text: str) -> None:
        self._reporter.status(text)

    def check(self) -> None:
        self._reporter.check()

    def wants_preview(self) -> bool:
        return False

    def preview(self, image: Image.Image) -> None:
        """Never called."""

    def wants_state(self) -> bool:
        return False

    def state(self, state: UnfinishedState) -> None:
        """Never called."""
