"""Stands in for the core where a test needs a fault, or a moment, that the true core gives only by chance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from webbduck_gradio.core.progress import GeneratedImage, ProgressReporter
from webbduck_gradio.models.catalog.registry import Checkpoint
from webbduck_gradio.request import GenerationRequest, UpscaleRequest


class Painter:
    """Paints flat colours step by step, as the core would tell it; `at` is called before each step."""

    def __init__(self, at: Callable[[int, int, GenerationRequest], None] = lambda image, step, request: None):
        self.at = at
        self.threads: set[int] = set()
        self.active = 0
        self.most_active = 0
        self._lock = threading.Lock()

    def generate(
        self, request: GenerationRequest, checkpoint: Checkpoint, reporter: ProgressReporter
    ) -> Iterator[GeneratedImage]:
        with self._lock:
            self.threads.add(threading.get_ident())
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            for index in range(request.num_images):
                for step in range(1, request.steps + 1):
                    reporter.check()
                    self.at(index, step, request)
                    reporter.step(index, step, request.steps)
                    if reporter.wants_preview():
                        reporter.preview(Image.new("RGB", (800, 400), "green"))
                colour = (index * 20, 99, 9)
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

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {"device": "painter"}

    def free(self) -> None:
        pass
