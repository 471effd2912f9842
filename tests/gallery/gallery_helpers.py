"""Pictures and runs for the tests of the gallery."""

from __future__ import annotations

import json
import time
from pathlib import Path

from PIL import Image

from webbduck_gradio.gallery.outputs import Outputs, Run
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings


def request(**fields) -> GenerationRequest:
    return GenerationRequest.validated(
        **{"prompt": "a duck", "base_model": "webbduck-starter", "seed": 7, **fields}
    )


def picture(color: str = "red", size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color)


def finished_run(outputs: Outputs, count: int = 1, **fields) -> Run:
    asked = request(num_images=count, **fields)
    run = outputs.new_run(asked, "generate", "job-1")
    for index in range(count):
        run.save(index, picture(), asked.seed_of(index))
    run.close("completed")
    return run


def old_run(settings: Settings, name: str, images: int = 1, **meta) -> Path:
    """A run as the first version left it."""
    folder = settings.outputs / name
    folder.mkdir(parents=True)
    for number in range(images):
        picture().save(folder / f"{number}.png")
    if meta:
        (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def wait_until(condition, seconds: float = 120) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
