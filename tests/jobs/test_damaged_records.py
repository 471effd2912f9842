"""What is broken in one record costs that record something, and nobody else anything."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from painter import Painter
from PIL import Image

from webbduck_gradio.api.serializers import index_of, job_view
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.recovery import recover
from webbduck_gradio.jobs.store import JobStore

NOBODY: Any = None
"""A view asks the studio's services only about a second pass, which none of these jobs has."""

ROWS = {
    "images are no JSON": "images = '['",
    "images are nested without end": f"images = '{'[' * 50_000}'",
    "images are a number": "images = '5'",
    "images hold half a pair": "images = '[\"\\ud800/0.png\"]'",
    "warnings are no JSON": "warnings = 'x'",
    "warnings are a table": "warnings = '{}'",
    "the result is no JSON": "result = 'x'",
    "the result is a list": "result = '[1]'",
    "the request is no JSON": "request = 'x'",
    "the request is a blob": "request = x'ff00ff'",
    "a bit of the request has flipped": "request = CAST(x'7b22ff22' AS TEXT)",
    "times are texts": "created = 'x', finished = 'y', started = 'z'",
    "times are without end": "created = 9e999, finished = 9e999",
    "steps are texts": "step = 'x', total = 'y', seconds_per_step = 'z', cancel_requested = 'q'",
    "the state is unknown": "state = 'dreaming'",
    "the kind is unknown": "kind = 'dream'",
    "the owner is a blob": "owner = x'ff'",
    "a bit of the error has flipped": "error = CAST(x'ff41' AS TEXT), status = CAST(x'ff' AS TEXT)",
}


def damage(path: Path, change: str, state: str) -> None:
    with sqlite3.connect(path) as db:
        assert db.execute(f"UPDATE jobs SET {change} WHERE state = ?", (state,)).rowcount == 1
    db.close()


@pytest.mark.parametrize("state", ["queued", "running", "completed"])
@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_a_damaged_row_hides_no_other(path: Path, settings, ask, change: str, state: str) -> None:
    store = JobStore(path)
    for prompt in ("ended", "runs", "waits"):
        store.submit(ask(prompt))
    first = store.claim()
    assert first is not None
    store.finish(first.id, "completed")
    store.claim()
    store.close()
    damage(path, change, state)

    store, outputs = JobStore(path), Outputs(settings)
    try:
        listed = [*store.queued(), *store.recent(), *([running] if (running := store.running()) else [])]
        assert len({job.id for job in listed}) == 3 or "dreaming" in change
        recover(store, outputs)
        after = [*store.queued(), *store.recent()]
        assert len({job.id for job in after}) == 3, "each job is listed after the start"
        assert store.running() is None
        for job in after:
            assert store.get(job.id).id == job.id and job_view(NOBODY, job)["job_id"] == job.id
        whole = {"ended", "runs", "waits"} - {
            {"queued": "waits", "running": "runs", "completed": "ended"}[state]
        }
        assert whole <= {job.request.prompt for job in after}  # type: ignore[union-attr]
        if (
            "request" not in change
            and "kind" not in change
            and "owner" not in change
            and "error" not in change
        ):
            said = [text for job in after for text in (*job.warnings, job.error or "") if "damaged" in text]
            # What the recovery writes itself heals the row that ran.
            assert said or state == "running", "what is lost is said"
        # The queue goes on behind it.
        last = store.submit(ask("new"))
        while (claimed := store.claim()) is not None and claimed.id != last.id:
            store.finish(claimed.id, "completed")
        assert claimed is not None
    finally:
        outputs.close()
        store.close()


def test_a_name_of_a_picture_without_a_number_has_no_index() -> None:
    names = ("r/12.png", "r/3_upscaled.png", "r/x.png", "r/²5.png")
    assert [index_of(each) for each in names] == [12, 3, None, None]


RECORDS = {
    "nested without end": "[" * 100_000,
    "half a pair": '{"state": "running", "prompt": "\\ud800"}',
    "cut": '{"state": "running"',
    "a list": "[]",
    "null": "null",
    "a state that is a number": '{"state": 5}',
    "no UTF-8": "\xff",
    "empty": "",
}


@pytest.mark.parametrize("text", RECORDS.values(), ids=RECORDS)
def test_a_start_survives_any_record_of_the_run_that_was_interrupted(path, settings, ask, text: str) -> None:
    store, outputs = JobStore(path), Outputs(settings)
    job = store.submit(ask(num_images=2))
    store.claim()
    run = outputs.new_run(job.generation_request, "generate", job.id)
    store.run_started(job.id, run.id)
    image_id = run.save(0, Image.new("RGB", (64, 64)), 1)
    (run.path / "meta.json").write_text(text, encoding="latin-1")
    assert recover(store, outputs) == 1
    found = store.get(job.id)
    assert (found.state, found.images) == ("interrupted", (image_id,))
    if text.startswith('{"state": "running", '):
        assert json.loads((run.path / "meta.json").read_text("ascii"))["state"] == "interrupted"
    outputs.close()
    store.close()


def test_a_run_that_was_closed_before_the_kill_is_a_finished_job(path, settings, ask) -> None:
    store, outputs = JobStore(path), Outputs(settings)
    job = store.submit(ask())
    store.claim()
    run = outputs.new_run(job.generation_request, "generate", job.id)
    store.run_started(job.id, run.id)
    image_id = run.save(0, Image.new("RGB", (64, 64)), 1)
    run.close("completed")
    assert recover(store, outputs) == 0
    assert (store.get(job.id).state, store.get(job.id).images) == ("completed", (image_id,))
    outputs.close()
    store.close()


def test_a_picture_is_known_to_its_job_although_the_record_was_refused(
    store, settings, make_worker, ask, monkeypatch
) -> None:
    from webbduck_gradio.errors import StorageError
    from webbduck_gradio.gallery.outputs import Run

    def refuse(run: Run) -> None:
        raise StorageError("meta.json could not be saved.")

    monkeypatch.setattr(Run, "_write_meta", refuse)
    job = store.submit(ask(num_images=2))
    claimed = store.claim()
    make_worker(Painter()).run(claimed)
    ended = store.get(job.id)
    assert ended.state == "failed"
    assert [f"{p.parent.name}/{p.name}" for p in settings.outputs.glob("*/*.png")] == list(ended.images)
    assert ended.status == "Failed; 1 of 2 images kept"
