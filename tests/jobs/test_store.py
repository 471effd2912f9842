"""The queue of record: order, atomicity, limits, cancelling, and what survives a kill or damage."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from running import PATIENCE

from webbduck_gradio.errors import NotFoundError, QueueFullError, RequestError, SettingsError, StorageError
from webbduck_gradio.jobs import schema
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import HOME


def test_a_job_keeps_all_of_its_request(store: JobStore, path: Path, ask) -> None:
    request = ask("quotes ' \" ; -- 🦆 \n مرحبا", loras=[{"name": "style", "weight": -0.5}], num_images=3)
    job = store.submit(request, kind="test", owner="anna", warnings=["one", "two", "one"])
    store.close()
    again = JobStore(path)
    try:
        read = again.get(job.id)
        assert read.request == request
        assert (read.kind, read.owner, read.warnings, read.state) == (
            "test",
            "anna",
            ("one", "two"),
            "queued",
        )
        assert read.created == job.created
    finally:
        again.close()


def test_jobs_run_in_the_order_of_their_position(store: JobStore, ask) -> None:
    jobs = [store.submit(ask(f"job {n}")) for n in range(5)]
    assert [job.position for job in jobs] == [1, 2, 3, 4, 5]
    assert [job.id for job in store.queued()] == [job.id for job in jobs]
    first = store.claim()
    assert first is not None
    assert first.id == jobs[0].id
    assert store.get(first.id).position is None
    assert [job.position for job in store.queued()] == [1, 2, 3, 4]
    assert store.get(jobs[4].id).position == 4
    assert [store.claim().id for _ in range(4)] == [job.id for job in jobs[1:]]  # type: ignore[union-attr]
    assert store.claim() is None


def test_the_33rd_is_refused_and_nothing_is_lost(store: JobStore, ask) -> None:
    for number in range(32):
        store.submit(ask(f"job {number}"))
    with pytest.raises(QueueFullError, match=r"32 jobs are waiting.*cancel one"):
        store.submit(ask("one too many"))
    assert store.counts()["queued"] == 32
    store.claim()  # the running one does not count
    assert store.submit(ask("now there is room")).position == 32


def test_a_limit_of_its_own(tmp_path: Path, ask) -> None:
    store = JobStore(tmp_path / "q.sqlite3", max_queued=1)
    store.submit(ask())
    with pytest.raises(QueueFullError, match="the limit is 1"):
        store.submit(ask())
    store.close()


def test_each_of_400_jobs_is_claimed_exactly_once_by_8_threads(path: Path, ask) -> None:
    store = JobStore(path, max_queued=1000)
    claimed: list[str] = []
    submitted: list[str] = []
    done = threading.Event()

    def submit() -> None:
        for number in range(50):
            submitted.append(store.submit(ask(f"job {number}")).id)

    def claim() -> None:
        while True:
            finished = done.is_set()  # read before claiming: nothing can be submitted after it
            job = store.claim()
            if job is not None:
                claimed.append(job.id)
                assert store.finish(job.id, "completed")
            elif finished:
                return

    submitters = [threading.Thread(target=submit) for _ in range(8)]
    claimers = [threading.Thread(target=claim) for _ in range(8)]
    for thread in submitters + claimers:
        thread.start()
    for thread in submitters:
        thread.join()
    done.set()
    for thread in claimers:
        thread.join()
    assert len(submitted) == 400
    assert Counter(claimed) == Counter(submitted)
    assert store.counts() == {
        "queued": 0, "running": 0, "suspended": 0, "completed": 400, "failed": 0, "cancelled": 0,
        "interrupted": 0,
    }  # fmt: skip
    store.close()


def test_cancelling_a_queued_job_takes_it_out_at_once(store: JobStore, ask) -> None:
    first, second, third = (store.submit(ask(f"job {n}")) for n in range(3))
    cancelled = store.cancel(second.id)
    assert (cancelled.state, cancelled.position) == ("cancelled", None)
    assert cancelled.status == "Cancelled before it started"
    assert store.get(third.id).position == 2
    assert [store.claim().id, store.claim().id] == [first.id, third.id]  # type: ignore[union-attr]


def test_cancelling_the_running_job_asks_only_it_to_stop(store: JobStore, ask) -> None:
    running, waiting = store.submit(ask()), store.submit(ask())
    store.claim()
    assert not store.cancelled(running.id)
    job = store.cancel(running.id)
    assert job.state == "running"
    assert job.cancel_requested
    assert store.cancelled(running.id)
    store.cancel(running.id)  # twice is the same as once
    store.finish(running.id, "cancelled")
    assert store.claim().id == waiting.id  # type: ignore[union-attr]
    assert not store.cancelled(waiting.id)
    assert not store.cancelled(running.id)  # nothing is kept of a job that has ended


def test_a_late_cancel_never_hits_the_next_job(store: JobStore, ask) -> None:
    first, second = store.submit(ask()), store.submit(ask())
    store.claim()
    store.finish(first.id, "completed")
    store.claim()
    with pytest.raises(RequestError, match="already completed"):
        store.cancel(first.id)
    assert not store.cancelled(second.id)
    assert not store.get(second.id).cancel_requested
    assert store.get(first.id).state == "completed"


@pytest.mark.parametrize(
    "job_id", ["", "0123456789abcdef", "../x", "' OR 1=1 --", "\0" * 16, "\ud800" * 16, 7, None, {}]
)
def test_an_id_that_was_never_given_out(store: JobStore, ask, job_id) -> None:
    store.submit(ask())
    for method in (store.get, store.cancel):
        with pytest.raises(NotFoundError, match="no job"):
            method(job_id)
    assert store.counts()["queued"] == 1


def test_a_kind_that_cannot_be_run_is_refused(store: JobStore, ask) -> None:
    with pytest.raises(RequestError, match="kind 'paint'"):
        store.submit(ask(), kind="paint")  # type: ignore[arg-type]


def test_progress_and_previews_raise_the_version_but_write_nothing(store: JobStore, path: Path, ask) -> None:
    job = store.submit(ask(num_images=2, steps=20))
    store.claim()
    before, lists = store.version, store.list_version
    log = path.with_name(path.name + "-wal")
    size = log.stat().st_size
    for step in range(1, 21):
        store.progress(job.id, 0, step, 20)
        store.new_preview(job.id)
    assert store.version > before
    assert store.list_version == lists
    assert log.stat().st_size == size
    seen = store.get(job.id)
    assert (seen.step, seen.total, seen.image_index, seen.preview) == (20, 20, 0, 20)
    assert seen.status == ""
    store.status(job.id, "Loading a model")
    assert store.running().status == "Loading a model"  # type: ignore[union-attr]


def test_every_change_of_a_job_raises_both_versions(store: JobStore, ask) -> None:
    job = store.submit(ask())
    for change in (
        lambda: store.submit(ask()),
        lambda: store.claim(),
        lambda: store.run_started(job.id, "run"),
        lambda: store.image_done(job.id, "run/0.png"),
        lambda: store.add_warnings(job.id, "careful"),
        lambda: store.cancel(job.id),
        lambda: store.finish(job.id, "cancelled"),
    ):
        before = (store.version, store.list_version)
        change()
        assert store.version > before[0]
        assert store.list_version > before[1]
    # what changes nothing tells nothing
    before = (store.version, store.list_version)
    store.add_warnings(job.id, "careful")
    store.finish(job.id, "failed", "again")
    assert (store.version, store.list_version) == before
    assert store.get(job.id).state == "cancelled"


def test_images_and_warnings_come_one_by_one(store: JobStore, ask) -> None:
    job = store.submit(ask(num_images=2), warnings=["first"])
    store.claim()
    store.run_started(job.id, "2026-01-01_00-00-00")
    store.image_done(job.id, "2026-01-01_00-00-00/0.png")
    store.add_warnings(job.id, "second")
    seen = store.get(job.id)
    assert seen.images == ("2026-01-01_00-00-00/0.png",)
    assert seen.warnings == ("first", "second")
    assert seen.run == "2026-01-01_00-00-00"


def test_an_error_with_a_broken_file_name_can_be_stored(store: JobStore, ask) -> None:
    job = store.submit(ask())
    store.claim()
    store.finish(job.id, "failed", "cannot read caf\udce9.png")
    assert store.get(job.id).error == "cannot read caf\\udce9.png"


def test_recent_is_newest_first(store: JobStore, ask) -> None:
    ids = []
    for _ in range(5):
        job = store.submit(ask())
        store.claim()
        store.finish(job.id, "completed")
        ids.append(job.id)
    assert [job.id for job in store.recent(3)] == ids[:1:-1]
    assert [job.id for job in store.recent(3, start=3)] == ids[1::-1]


def test_waiting_for_work_is_woken_by_a_submit(store: JobStore, ask) -> None:
    assert not store.wait_for_work(timeout=0.01)
    found: list[bool] = []
    waiter = threading.Thread(target=lambda: found.append(store.wait_for_work(timeout=PATIENCE)))
    waiter.start()
    store.submit(ask())
    waiter.join(PATIENCE)
    assert found == [True]


# ---- over restarts


def test_recover_marks_the_running_job_and_starts_nothing(path: Path, ask) -> None:
    store = JobStore(path)
    ran, waiting = store.submit(ask(num_images=4)), store.submit(ask())
    store.claim()
    store.image_done(ran.id, "run/0.png")
    store.close()
    store = JobStore(path)
    assert store.recover() == 1
    job = store.get(ran.id)
    assert job.state == "interrupted"
    assert job.error is not None
    assert "stopped while this job ran" in job.error
    assert job.status == "Interrupted; 1 of 4 images kept"
    assert job.images == ("run/0.png",)
    assert job.finished is not None
    assert store.recover() == 0
    assert store.claim().id == waiting.id  # type: ignore[union-attr]
    assert store.claim() is None
    store.close()


SUBMITTER = """
import os, sys
from pathlib import Path
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.request import GenerationRequest
store = JobStore(Path(sys.argv[1]))
for number in range(6):
    request = GenerationRequest(prompt=f"job {number}", base_model="m", seed=number)
    print(store.submit(request).id, flush=True)
print(store.claim().id, flush=True)
sys.stdin.read()
"""


def test_queued_jobs_survive_kill_9(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOME,
    )  # fmt: skip
    assert process.stdout is not None
    ids = [process.stdout.readline().strip() for _ in range(7)]
    with pytest.raises(SettingsError, match="Another WebbDuck"):
        JobStore(path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    store = JobStore(path)
    assert store.problem is None
    assert ids[6] == ids[0]
    assert store.recover() == 1
    assert store.get(ids[0]).state == "interrupted"
    assert [job.id for job in store.queued()] == ids[1:6]
    assert [job.request.seed for job in store.queued()] == [1, 2, 3, 4, 5]
    store.close()


def test_two_studios_on_one_folder_are_refused(store: JobStore, path: Path, ask) -> None:
    store.submit(ask())
    with pytest.raises(SettingsError, match="Another WebbDuck"):
        JobStore(path)
    assert store.counts()["queued"] == 1


def test_a_request_that_no_longer_fits_fails_and_blocks_nothing(path: Path, ask) -> None:
    store = JobStore(path)
    jobs = [store.submit(ask(f"job {n}")) for n in range(4)]
    store.close()
    stored = json.loads(jobs[0].request.model_dump_json())
    with sqlite3.connect(path) as db:
        for job, text in zip(
            jobs,
            (
                json.dumps({**stored, "prompt": "kept", "steps": 100_000}),
                json.dumps({**stored, "a_field_of_long_ago": 1}),
                "not even JSON",
            ),
            strict=False,
        ):
            db.execute("UPDATE jobs SET request = ? WHERE id = ?", (text, job.id))
    db.close()
    store = JobStore(path)
    assert [job.id for job in store.queued()] == [job.id for job in jobs]  # shown all the same
    assert store.queued()[0].request.prompt == "kept"
    claimed = store.claim()
    assert claimed is not None
    assert claimed.id == jobs[3].id
    errors = [store.get(job.id).error or "" for job in jobs[:3]]
    assert [store.get(job.id).state for job in jobs[:3]] == ["failed"] * 3
    assert "steps must be a whole number from 1 to 150" in errors[0]
    assert "a_field_of_long_ago" in errors[1]
    assert "not a readable request" in errors[2]
    store.close()


def test_a_fault_in_a_validator_costs_the_job_and_not_the_queue(path: Path, ask, monkeypatch) -> None:
    store = JobStore(path)
    odd, good = store.submit(ask("odd")), store.submit(ask("good"))
    check = GenerationRequest.model_validate_json

    def faulty(text: str) -> GenerationRequest:
        if '"odd"' in text:
            raise TypeError("'>=' not supported between NoneType and int")
        return check(text)

    monkeypatch.setattr(GenerationRequest, "model_validate_json", faulty)
    assert store.claim().id == good.id  # type: ignore[union-attr]
    assert store.get(odd.id).state == "failed"
    assert "could not be read (TypeError)" in (store.get(odd.id).error or "")
    store.close()


def test_a_kind_of_another_version_fails_and_blocks_nothing(path: Path, ask) -> None:
    store = JobStore(path)
    odd, good = store.submit(ask()), store.submit(ask())
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE jobs SET kind = 'hologram' WHERE id = ?", (odd.id,))
    db.close()
    store = JobStore(path)
    assert store.claim().id == good.id  # type: ignore[union-attr]
    assert "kind hologram" in (store.get(odd.id).error or "")
    store.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this was a database once " * 400)


def _torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 3000] = os.urandom(3000)
    path.write_bytes(data)


def _strange(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE jobs(id TEXT)")
        db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
    db.close()


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE jobs(id TEXT)")
    db.close()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _without_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()


@pytest.mark.parametrize("damage", [_garbage, _torn, _strange, _foreign, _emptied, _without_tables])
def test_a_damaged_database_is_set_aside_and_the_studio_starts(path: Path, ask, damage) -> None:
    store = JobStore(path)
    for _ in range(20):
        store.submit(ask("x" * 500))
    store.close()
    damage(path)
    broken = path.read_bytes()
    for turn in (1, 2):  # a second time in the same second keeps the first one too
        store = JobStore(path)
        assert store.problem is not None
        assert "damaged" in store.problem
        aside = [
            p
            for p in path.parent.iterdir()
            if ".damaged-" in p.name and not p.name.endswith(("-wal", "-shm"))
        ]
        assert len(aside) == turn
        assert store.problem.count(".damaged-") == 1
        assert store.queued() == []
        assert store.submit(ask()).position == 1
        store.close()
        if turn == 1:
            if damage in (_garbage, _torn, _emptied):
                assert aside[0].read_bytes() == broken
            path.write_bytes(broken)
    path.unlink()


def test_a_database_of_a_newer_version_is_left_alone(path: Path, ask) -> None:
    store = JobStore(path)
    store.submit(ask())
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(SettingsError, match="newer version"):
        JobStore(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*) FROM jobs").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_every_earlier_schema_migrates_and_keeps_its_jobs(path: Path, ask, version: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = schema.connect(path)
    schema.migrate(db, schema.MIGRATIONS[:version])
    db.execute(
        """INSERT INTO jobs(id, kind, state, place, request, created)
        VALUES ('0123456789abcdef', 'generate', 'queued', 1, ?, 1.5)""",
        (ask("from before").model_dump_json(),),
    )
    db.close()
    store = JobStore(path)
    assert store.problem is None
    job = store.claim()
    assert job is not None
    assert (job.request.prompt, job.created) == ("from before", 1.5)
    assert store.finish(job.id, "completed")
    store.submit(ask())
    store.close()
    db = schema.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    db.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SettingsError, match="is not writable"):
        JobStore(tmp_path / "file" / "jobs.sqlite3")


def test_a_commit_is_on_the_disk_before_it_is_answered(store: JobStore) -> None:
    """No test can cut the power; SQLite promises it at this setting (2 = FULL)."""
    assert store.database.writer.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert store.database.writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_refused_write_is_a_sentence_and_changes_nothing(store: JobStore, ask) -> None:
    job = store.submit(ask())
    store.database.writer.execute("PRAGMA max_page_count = 1")  # as a full disk: SQLite can take no new page
    with pytest.raises(StorageError, match="could not be written"):
        for _ in range(30):
            store.submit(ask("x" * 3000))
    waiting = store.counts()["queued"]
    store.database.writer.execute("PRAGMA max_page_count = 1000000")
    assert store.submit(ask()).position == waiting + 1
    assert store.claim().id == job.id  # type: ignore[union-attr]


def test_a_listener_hears_each_change_and_nothing_after_it_left(store: JobStore, ask) -> None:
    heard: list[bool] = []
    with store.database.listening(heard.append):
        job = store.submit(ask())
        store.claim()
        assert heard and all(heard), "both changed the list"
        heard.clear()
        store.progress(job.id, 0, 1, 2)
        assert heard == [False]
    store.finish(job.id, "completed")
    assert heard == [False]
