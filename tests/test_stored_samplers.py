"""What was stored when a sampler and its schedule were one name, `scheduler`, keeps its meaning."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.metadata import recall
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.studio.form import Form

ASKED = {"base_model": "webbduck-starter", "prompt": "a duck", "seed": 1}
MEANINGS = [
    ("DPM++ 2M", ("DPM++ 2M", "Uniform")),
    ("DPM2 a Karras", ("DPM2 a", "Karras")),
    ("DPM++ SDE SGM Uniform", ("DPM++ SDE", "SGM Uniform")),
    ("UniPC", ("UniPC", "Automatic")),
]
each = pytest.mark.parametrize(("name", "meant"), MEANINGS, ids=str)


def stored(name: str) -> dict:
    """A whole request as it was written down."""
    fields = GenerationRequest.validated(**ASKED).model_dump(mode="json")
    del fields["sampler"], fields["schedule"]
    return {**fields, "scheduler": name}


def meaning(fields: dict) -> tuple[str, str]:
    assert "scheduler" not in fields
    return fields["sampler"], fields["schedule"]


@each
def test_a_job_that_waits_and_one_that_is_retried(settings: Settings, name: str, meant: tuple) -> None:
    path = settings.data_dir / "jobs.sqlite3"
    store = JobStore(path)
    waits, ended = (store.submit(GenerationRequest.validated(**ASKED)) for _ in range(2))
    store.cancel(ended.id)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE jobs SET request = ?", (json.dumps(stored(name)),))
    db.close()
    store = JobStore(path)
    assert meaning(store.get(waits.id).request.model_dump()) == meant
    assert meaning(store.retry(ended.id).request.model_dump()) == meant
    claimed = store.claim()
    assert claimed is not None and claimed.generation_request.scheduler == name
    store.close()


@each
def test_a_picture(tmp_path: Path, settings: Settings, name: str, meant: tuple) -> None:
    info = PngInfo()
    chunk = {"schema": 2, "request": stored(name), "batch": {"seed": 5, "num_images": 2}}
    info.add_text(metadata.CHUNK, json.dumps(chunk))
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png", pnginfo=info)
    values, _ = recall.read_settings(tmp_path / "0.png", Registry(settings), InputImageStore(settings))
    assert meaning(values) == meant
    text = f"a duck\nSteps: 20, Sampler: {name}, CFG scale: 7, Seed: 1, Size: 512x512"
    values, _ = recall.read_text(text, Registry(settings), InputImageStore(settings))
    assert meaning(values) == meant


@each
def test_a_preset_and_a_page_as_it_was_left(settings: Settings, name: str, meant: tuple) -> None:
    class Services:
        registry = Registry(settings)

    form = Form(Services, dict.fromkeys(("base_model", "sampler", "schedule")), None)  # type: ignore[arg-type]
    assert meaning(form.recall({"base_model": "webbduck-starter", "scheduler": name})) == meant


@each
def test_the_record_of_a_run(settings: Settings, name: str, meant: tuple) -> None:
    outputs = Outputs(settings)
    run = outputs.new_run(GenerationRequest.validated(**ASKED, scheduler=name))
    run.save(0, Image.new("RGB", (8, 8)), 1, (), {})
    run.close("completed")
    path = settings.outputs / run.id / "meta.json"
    written = json.loads(path.read_text("utf-8"))
    # The first version reads the one name, which stands beside the two.
    assert written["scheduler"] == name and meaning(written["request"]) == meant
    assert (written["sampler"], written["schedule"]) == meant
    path.write_text(json.dumps({"scheduler": name, "request": stored(name)}), "utf-8")
    assert meaning(outputs.run(run.id).meta["request"]) == meant
    outputs.close()
