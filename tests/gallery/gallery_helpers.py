"""Pictures and runs for the tests of the gallery."""

from __future__ import annotations

from PIL import Image

from webbduck_gradio.gallery.storage import Outputs, Run
from webbduck_gradio.request import GenerationRequest


def request(**fields) -> GenerationRequest:
    return GenerationRequest.of(**{"prompt": "a duck", "base_model": "webbduck-starter", "seed": 7, **fields})


def picture(color: str = "red", size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color)


def finished_run(outputs: Outputs, count: int = 1, **fields) -> Run:
    asked = request(num_images=count, **fields)
    run = outputs.new_run(asked, "generate", "job-1")
    for index in range(count):
        run.save(index, picture(), asked.seed_of(index))
    run.close("completed")
    return run
