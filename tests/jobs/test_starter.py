"""Jobs on the true core, the true gallery and the starter checkpoint."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from PIL import Image
from running import PATIENCE

from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.settings import HOME


@pytest.fixture(scope="module")
def generator() -> Iterator[object]:
    from webbduck_gradio.core.image_generator import ImageGenerator

    generator = ImageGenerator("cpu")
    yield generator
    generator.free()


def test_a_job_paints_and_its_pictures_can_be_made_again_alone(
    store: JobStore, settings, make_worker, ask, generator
) -> None:
    worker = make_worker(generator)
    request = ask("a red duck on a pond", width=128, height=128, num_images=2, steps=4, seed=11)
    batch, alone = store.submit(request), store.submit(request.for_single_image(1))
    for _ in range(2):
        claimed = store.claim()
        assert claimed is not None
        worker.run(claimed)
    batch, alone = store.get(batch.id), store.get(alone.id)
    assert (batch.state, alone.state) == ("completed", "completed"), (batch.error, alone.error)
    outputs = Outputs(settings)
    pictures = [Image.open(outputs.resolve(i)).convert("RGB") for i in (*batch.images, *alone.images)]
    assert pictures[0].size == (128, 128)
    assert len(pictures[0].getcolors(maxcolors=128 * 128) or range(1000)) > 100  # not a flat area
    assert pictures[1].tobytes() == pictures[2].tobytes()
    assert pictures[0].tobytes() != pictures[1].tobytes()
    assert (batch.step, batch.total) == (4, 4)
    assert batch.seconds_per_step is not None
    assert batch.seconds_per_step > 0


def test_cancel_stops_the_true_core_and_the_next_job_is_as_ever(
    store: JobStore, settings, make_worker, ask, generator
) -> None:
    worker = make_worker(generator)
    quick = ask("a blue duck", steps=3, seed=5)
    jobs = [store.submit(quick), store.submit(ask("long", steps=150, num_images=2)), store.submit(quick)]
    seen: list[int] = []

    def watch() -> None:
        while not (job := store.get(jobs[1].id)).ended:
            if job.state == "running" and job.step >= 3:
                seen.append(job.step)
                store.cancel(job.id)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in jobs:
        claimed = store.claim()
        assert claimed is not None
        worker.run(claimed)
    watcher.join(PATIENCE)
    first, long, last = (store.get(job.id) for job in jobs)
    assert (first.state, long.state, last.state) == ("completed", "cancelled", "completed")
    assert long.images == ()
    assert long.step < 150
    outputs = Outputs(settings)
    pixels = [Image.open(outputs.resolve(job.images[0])).convert("RGB").tobytes() for job in (first, last)]
    assert pixels[0] == pixels[1]


def test_torch_is_not_imported_before_the_first_job(settings) -> None:
    code = f"""
import sys
from pathlib import Path
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.jobs.context import JobContext
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.worker import Worker
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

def make():
    raise AssertionError("no job was run")

settings = Settings(checkpoints=Path({str(settings.checkpoints)!r}), loras=Path({str(settings.loras)!r}),
                    outputs=Path({str(settings.outputs)!r}), inputs=Path({str(settings.inputs)!r}))
registry, store = Registry(settings), JobStore(settings.data_dir / "jobs.sqlite3")
context = JobContext(settings, registry, Outputs(settings), InputImageStore(settings), make)
worker = Worker(store, context)
job = store.submit(build_request(registry, {{"prompt": "a duck", "steps": 1, "width": 64, "height": 64}}))
assert worker.describe() == {{}}
assert "torch" not in sys.modules
assert store.get(job.id).state == "queued"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HOME)
