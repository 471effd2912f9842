"""A reporter for tests."""

from __future__ import annotations

from PIL import Image

from webbduck_gradio.core.progress import UnfinishedState
from webbduck_gradio.errors import CancelledError


class Recorder:
    """A reporter that keeps what it was told, and can cancel after a number of steps."""

    def __init__(self, previews: bool = False, cancel_after: int | None = None):
        self.steps: list[tuple[int, int, int]] = []
        self.previews: list[Image.Image] = []
        self.texts: list[str] = []
        self.work: list[tuple[float, str]] = []
        self.wanted, self.cancel_after = previews, cancel_after

    def worked(self, pictures: float, name: str) -> None:
        self.work.append((pictures, name))

    def step(self, image_index: int, step: int, total: int) -> None:
        self.steps.append((image_index, step, total))

    def preview(self, image: Image.Image) -> None:
        self.previews.append(image)

    def wants_preview(self) -> bool:
        return self.wanted

    def check(self) -> None:
        if self.cancel_after is not None and len(self.steps) >= self.cancel_after:
            raise CancelledError("Stopped.")

    def wants_state(self) -> bool:
        return False

    def state(self, state: UnfinishedState) -> None: ...

    def status(self, text: str) -> None:
        self.texts.append(text)
