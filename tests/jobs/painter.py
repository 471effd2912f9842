"""Stands in for the core where a test needs a fault, or a moment, that the true core gives only by chance."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.core.progress import Continuation, GeneratedImage, ProgressReporter
from webbduck_gradio.models.catalog.registry import Checkpoint
from webbduck_gradio.request import GenerationRequest, RedrawRequest, UpscaleRequest


@dataclass(frozen=True)
class Unfinished:
    """A picture after a step: its colour so far, a sum over all its steps."""

    index: int
    step: int
    total: int
    sum: int

    def write(self, file: BinaryIO) -> None:
        about = {"index": self.index, "step": self.step, "total": self.total}
        texts = {"format": "webbduck-unfinished-1", **{key: str(value) for key, value in about.items()}}
        tensor = {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}
        header = json.dumps({"__metadata__": texts, "sum": tensor}).encode()
        file.write(len(header).to_bytes(8, "little") + header + self.sum.to_bytes(8, "little"))

    @classmethod
    def read(cls, path: Path) -> Unfinished:
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        about = json.loads(data[8:end])["__metadata__"]
        numbers = (int(about[key]) for key in ("index", "step", "total"))
        return cls(*numbers, sum=int.from_bytes(data[end:], "little"))


@dataclass(frozen=True)
class Found:
    """A region."""

    name: str
    box: tuple[float, float, float, float]
    mask: Image.Image | None = None

    def told(self) -> dict[str, Any]:
        return {"class": self.name, "confidence": 0.87, "box": list(self.box)}


class Painter:
    """Paints flat colours step by step, as the core would tell it; `at` is called before each step.

    A picture's colour depends on each of its steps, so that one which was put aside shows that it went on.
    """

    def __init__(self, at: Callable[[int, int, GenerationRequest], None] = lambda image, step, request: None):
        self.at = at
        self.steps: list[tuple[int, int]] = []
        """Image and number of each step that was made."""
        self.choice = DeviceChoice()
        self.threads: set[int] = set()
        self.active = 0
        self.most_active = 0
        self._lock = threading.Lock()

    def generate(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        continuation: Continuation = Continuation(),  # noqa: B008
    ) -> Iterator[GeneratedImage]:
        with self._lock:
            self.threads.add(threading.get_ident())
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            for index in range(continuation.images, request.num_images):
                state = Unfinished(index, 0, request.steps, request.seed_of(index))
                if index == continuation.images and continuation.state:
                    state = Unfinished.read(continuation.state)
                    assert state.index == index
                for step in range(state.step + 1, request.steps + 1):
                    reporter.check()
                    self.at(index, step, request)
                    self.steps.append((index, step))
                    state = Unfinished(index, step, request.steps, (state.sum * 31 + step) % 2**24)
                    reporter.step(index, step, request.steps)
                    if reporter.wants_preview():
                        reporter.preview(Image.new("RGB", (800, 400), "green"))
                    if reporter.wants_state():
                        reporter.state(state)
                colour = (state.sum >> 16, state.sum >> 8 & 255, state.sum & 255)
                yield GeneratedImage(
                    index, request.seed_of(index), Image.new("RGB", (64, 64), colour), ("painted",)
                )
        finally:
            with self._lock:
                self.active -= 1

    def upscale(
        self, image: Image.Image, request: UpscaleRequest, model: Any, reporter: ProgressReporter
    ) -> GeneratedImage:
        reporter.check()
        larger = image.resize((image.width * request.scale, image.height * request.scale))
        return GeneratedImage(0, 0, larger, (), {"upscaler": "Lanczos", "scale": request.scale})

    def redraw(
        self,
        image: Image.Image,
        request: RedrawRequest,
        checkpoint: Checkpoint,
        upscaler: Any,
        reporter: ProgressReporter,
        continuation: Continuation,
    ) -> GeneratedImage:
        reporter.check()
        reporter.step(0, 1, 1)
        larger = image.resize((round(image.width * request.scale), round(image.height * request.scale)))
        return GeneratedImage(0, request.drawing.seed, larger, (), {"upscaler": request.upscaler, "tiles": 1})

    def detect(
        self, image: Image.Image, detector: Any, confidence: float, reporter: ProgressReporter
    ) -> list[Found]:
        reporter.check()
        return [Found(detector.classes[0], (8.0, 16.0, 40.0, 48.0))] if confidence < 0.9 else []

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        pass

    def choose(self, choice: DeviceChoice) -> None:
        self.choice = choice

    def describe(self) -> dict[str, Any]:
        return {"device": "painter"}

    def free(self) -> None:
        pass
