"""What the queue waits for, and that it never waits without a word."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from painter import Painter
from PIL import Image
from running import PATIENCE, wait_until

from webbduck_gradio.errors import StorageError
from webbduck_gradio.jobs import lazy_run
from webbduck_gradio.jobs.dispatcher import IDLE, run_next_job
from webbduck_gradio.jobs.housekeeping import Housekeeping
from webbduck_gradio.jobs.previews import PreviewFiles
from webbduck_gradio.jobs.stall_watchdog import STALL_SECONDS, StallWatchdog
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.worker import DISK_FULL
from webbduck_gradio.storage.reserve import BYTES, Reserve

SECRET = "secret"


def test_a_job_that_is_forgotten_the_moment_it_ends_holds_up_nothing(
    store: JobStore, make_worker, ask
) -> None:
    worker = make_worker(Painter())
    ended = store.finish

    def end_and_forget(job_id: str, *more):
        found = ended(job_id, *more)
        store.remove(job_id)  # as somebody's "Clear finished" at just this moment
        return found

    store.finish = end_and_forget  # type: ignore[method-assign]
    for _ in range(2):
        store.submit(ask())
        ticket = threading.Thread(target=run_next_job, args=(worker, SECRET, SECRET), daemon=True)
        ticket.start()
        ticket.join(PATIENCE)
        assert not ticket.is_alive(), "the lane waits for a job that nobody knows any more"
    assert store.counts()["queued"] == 0


def test_only_a_write_that_the_disk_refuses_is_waited_for(store: JobStore, make_worker, ask) -> None:
    worker, ended, tries = make_worker(Painter()), store.finish, []

    def refuse_first(*args):
        tries.append(store.get(args[0]).status)
        if len(tries) < 3:
            raise StorageError("The queue could not be written (disk I/O error); check the disk.")
        return ended(*args)

    store.finish = refuse_first  # type: ignore[method-assign]
    job = store.submit(ask())
    run_next_job(worker, SECRET, SECRET)
    assert store.get(job.id).state == "completed"
    assert "Waiting to save the state of this job" in tries[-1], "the wait says what it waits for"


@pytest.mark.parametrize("kind", ["checkpoint", "LoRA", "input", "output"])
def test_a_folder_that_is_away_pauses_the_queue_until_it_is_back(
    store: JobStore, settings, make_worker, ask, tmp_path: Path, kind: str
) -> None:
    folder = {"LoRA": settings.loras, "input": settings.inputs, "output": settings.outputs}.get(kind)
    if folder is None:
        # Not the project's own folder, which other tests use.
        folder = tmp_path / "checkpoints"
        (folder / "sdxl").mkdir(parents=True)
    worker = make_worker(Painter())
    object.__setattr__(settings, "checkpoints", folder if kind == "checkpoint" else settings.checkpoints)
    keeper = Housekeeping(settings, store, worker.reserve, worker.obstacles)
    job = store.submit(ask())
    away = folder.rename(tmp_path / "away")
    assert run_next_job(worker, SECRET, SECRET) == IDLE
    assert store.get(job.id).state == "queued", "nothing is drawn, nothing fails"
    assert store.pause_reason is not None
    assert f"The {kind} folder {folder} does not exist" in store.pause_reason
    assert not keeper.resume_when_possible()
    away.rename(folder)
    assert keeper.resume_when_possible()
    if kind != "checkpoint":
        assert run_next_job(worker, SECRET, SECRET) == job.id
        assert store.get(job.id).state == "completed"


def test_an_output_folder_that_became_read_only_pauses_the_queue_before_anything_is_drawn(
    store: JobStore, settings, make_worker, ask, monkeypatch
) -> None:
    painter = Painter()
    worker = make_worker(painter)
    keeper = Housekeeping(settings, store, worker.reserve, worker.obstacles)
    job = store.submit(ask())

    # The tests may run as root, to whom every folder is writable.
    def of_a_read_only_folder(path, mode: int, access=os.access) -> bool:
        return not (Path(path) == settings.outputs and mode & os.W_OK) and access(path, mode)

    monkeypatch.setattr(os, "access", of_a_read_only_folder)
    assert run_next_job(worker, SECRET, SECRET) == IDLE
    assert store.get(job.id).state == "queued" and not painter.steps
    assert f"The output folder {settings.outputs} is not writable" in str(store.pause_reason)
    assert not keeper.resume_when_possible()
    monkeypatch.undo()
    assert keeper.resume_when_possible()
    assert run_next_job(worker, SECRET, SECRET) == job.id
    assert store.get(job.id).state == "completed"


def test_an_output_folder_that_was_replaced_is_said(
    store: JobStore, settings, make_worker, ask, tmp_path
) -> None:
    worker = make_worker(Painter())
    store.submit(ask())
    settings.outputs.rename(tmp_path / "away")
    settings.make_folders()
    assert run_next_job(worker, SECRET, SECRET) == IDLE
    assert "was replaced while the studio ran; restart" in str(store.pause_reason)


def test_no_job_is_taken_into_a_queue_that_is_not_in_its_folder(
    store: JobStore, settings, ask, tmp_path: Path
) -> None:
    before = store.submit(ask())
    store.cancel(before.id)
    away = settings.outputs.rename(tmp_path / "away")
    for replaced in (False, True):
        if replaced:
            settings.make_folders()
            (settings.data_dir / "jobs.sqlite3").touch()
        with pytest.raises(StorageError, match="no longer in the output folder"):
            store.submit(ask())
        with pytest.raises(StorageError, match="no longer in the output folder"):
            store.retry(before.id)
    assert store.counts()["queued"] == 0, "it would be lost with a restart"
    shutil.rmtree(settings.outputs)
    away.rename(settings.outputs)
    assert store.retry(before.id).state == "queued"


def test_previews_that_cannot_be_written_are_logged_once_for_each_job(settings, caplog) -> None:
    previews = PreviewFiles(settings)
    shutil.rmtree(settings.previews)
    for job_id in ("a", "a", "a", "b"):
        assert not previews.write(job_id, Image.new("RGB", (8, 8)))
    assert len(caplog.records) == 2


def test_others_learn_nothing_of_the_folders(settings) -> None:
    from dataclasses import replace

    from webbduck_gradio.jobs.obstacles import Obstacles

    public = replace(settings, host="0.0.0.0")
    obstacles = Obstacles(public)
    settings.loras.rmdir()
    assert obstacles.found() == (
        "The LoRA folder does not exist; the queue resumes automatically when it is available again."
    )


def test_a_queue_that_somebody_paused_is_not_resumed(store: JobStore, settings) -> None:
    store.pause()
    assert not Housekeeping(settings, store, Reserve(settings.data_dir / "reserve")).resume_when_possible()
    assert store.paused


def test_the_reserve_is_made_again_before_each_job(
    store: JobStore, settings, make_worker, ask, monkeypatch
) -> None:
    worker = make_worker(Painter())
    worker.reserve.release()
    store.pause(DISK_FULL)
    store.resume()  # by hand
    job = store.submit(ask())
    monkeypatch.setattr(type(worker.reserve), "create", lambda reserve: False)
    assert run_next_job(worker, SECRET, SECRET) == IDLE
    assert store.pause_reason == DISK_FULL, "no room for the reserve: nothing is drawn that could not be kept"
    monkeypatch.undo()
    store.resume()
    assert run_next_job(worker, SECRET, SECRET) == job.id
    assert (settings.data_dir / "reserve").stat().st_size == BYTES


def test_a_queue_that_stands_still_is_said_until_it_moves(store: JobStore, ask, caplog) -> None:
    standstill = StallWatchdog(store)
    standstill.check(0)
    assert standstill.problem is None, "nothing waits"
    store.submit(ask())
    standstill.check(10)
    standstill.check(10 + STALL_SECONDS - 1)
    assert standstill.problem is None
    before = store.version
    standstill.check(10 + STALL_SECONDS)
    assert "nothing has run for over a minute" in str(standstill.problem)
    assert str(standstill.problem) in caplog.text and store.version > before, (
        "the log and the pages hear of it"
    )
    job = store.claim()
    standstill.check(200)
    assert standstill.problem is None
    assert job is not None
    store.finish(job.id, "completed")
    store.submit(ask())
    store.pause()
    standstill.check(300)
    standstill.check(300 + 2 * STALL_SECONDS)
    assert standstill.problem is None, "a pause is no standstill"


@pytest.mark.parametrize("end", ["comes back", "is cancelled"])
def test_a_picture_that_is_drawn_waits_for_its_folder(
    store: JobStore, settings, make_worker, ask, tmp_path: Path, end: str, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(lazy_run, "LOOK_AGAIN_SECONDS", 0.02)
    away = tmp_path / "away"

    def take_away(image: int, step: int, request) -> None:
        if (image, step) == (1, 2):
            settings.outputs.rename(away)

    worker = make_worker(Painter(take_away))
    job = store.submit(ask(num_images=2))
    ticket = threading.Thread(target=run_next_job, args=(worker, SECRET, SECRET), daemon=True)
    ticket.start()
    wait_until(lambda: "Waiting to save: The output folder" in store.get(job.id).status)
    time.sleep(0.3)
    logged = [each for each in caplog.messages if "cannot be saved yet" in each]
    if end == "is cancelled":
        store.cancel(job.id)
    else:
        away.rename(settings.outputs)
    ticket.join(PATIENCE)
    assert len(logged) == 1, "once, not with each look"
    ended = store.get(job.id)
    assert ended.state == ("cancelled" if end == "is cancelled" else "completed")
    if end == "comes back":
        assert len(ended.images) == 2
        assert all((settings.outputs / image).is_file() for image in ended.images)
