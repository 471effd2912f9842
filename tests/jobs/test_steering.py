"""Retry, move, pause, clear, several at once, history, and the estimate of the time left."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from pathlib import Path

import pytest
from PIL import Image

from webbduck_gradio.api.status_line import status_line
from webbduck_gradio.errors import NotFoundError, QueueFullError, RequestError, StorageError
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs import queries, schema, suspension
from webbduck_gradio.jobs import store as statements
from webbduck_gradio.jobs.progress import JobProgress
from webbduck_gradio.jobs.recovery import recover
from webbduck_gradio.jobs.reorder import moved
from webbduck_gradio.jobs.store import JobStore


def ids(jobs) -> list[str]:
    return [job.id for job in jobs]


def end(store: JobStore, job, state: str = "failed") -> None:
    """Take the next job, which must be this one, to an end."""
    claimed = store.claim()
    assert claimed is not None
    assert claimed.id == job.id
    assert store.finish(job.id, state, None if state == "completed" else "because")  # type: ignore[arg-type]


# ---- retry


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_retry_is_a_new_job_with_the_same_request_and_seeds(store: JobStore, ask, state: str) -> None:
    old = store.submit(ask(seed=None, num_images=3), kind="test", owner="anna", warnings=["old"])
    end(store, old, state)
    waiting = store.submit(ask())
    new = store.retry(old.id, owner="ben", warnings=["new"])
    assert new.id != old.id
    assert new.request == old.request
    assert (new.kind, new.state, new.position, new.retry_of) == ("test", "queued", 2, old.id)
    assert (new.owner, new.warnings, new.images, new.error) == ("ben", ("new",), (), None)
    assert store.get(old.id).state == state
    assert ids(store.queued()) == [waiting.id, new.id]


@pytest.mark.parametrize("state", ["queued", "running", "completed"])
def test_what_has_not_failed_is_not_retried(store: JobStore, ask, state: str) -> None:
    job = store.submit(ask())
    if state != "queued":
        store.claim()
    if state == "completed":
        store.finish(job.id, "completed")
    with pytest.raises(RequestError, match=f"is {state}; only a failed"):
        store.retry(job.id)
    assert sum(store.counts().values()) == 1


def test_retry_into_a_full_queue_is_refused(path: Path, ask) -> None:
    store = JobStore(path, max_queued=1)
    old = store.submit(ask())
    end(store, old)
    store.submit(ask())
    with pytest.raises(QueueFullError):
        store.retry(old.id)
    store.close()


def test_a_request_that_no_longer_fits_is_not_retried_as_something_else(path: Path, ask) -> None:
    store = JobStore(path)
    job = store.submit(ask())
    end(store, job)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE jobs SET request = json_set(request, '$.steps', 0)")
    db.close()
    store = JobStore(path)
    assert "steps must be" in (store.get(job.id).unreadable or "")
    with pytest.raises(RequestError, match="steps must be"):
        store.retry(job.id)
    assert store.queued() == []
    store.close()


# ---- order


def test_moving_jobs(store: JobStore, ask) -> None:
    a, b, c, d = (store.submit(ask(name)).id for name in "abcd")
    assert ids(store.move(c, "up")) == [a, c, b, d]
    assert ids(store.move(c, "top")) == [c, a, b, d]
    assert ids(store.move(c, "up")) == [c, a, b, d]
    assert ids(store.move(a, "down")) == [c, b, a, d]
    assert ids(store.move(c, 4)) == [b, a, d, c]
    assert ids(store.move(c, 2)) == [b, c, a, d]
    assert ids(store.move([d, c], 1)) == [c, d, b, a]  # together, in the order that they had
    assert ids(store.move(c, "bottom")) == [d, b, a, c]
    new = store.submit(ask("new")).id
    assert ids(store.queued()) == [d, b, a, c, new]
    assert [store.get(job).position for job in (d, b, a, c, new)] == [1, 2, 3, 4, 5]
    assert [store.claim().id for _ in range(5)] == [d, b, a, c, new]  # type: ignore[union-attr]


def test_an_order_survives_a_restart(path: Path, ask) -> None:
    store = JobStore(path)
    a, b, c = (store.submit(ask(name)).id for name in "abc")
    store.move(c, "top")
    store.close()
    store = JobStore(path)
    assert ids(store.queued()) == [c, a, b]
    store.close()


@pytest.mark.parametrize("to", [0, -1, 4, 2.0, True, None, "first", "", [1]])
def test_a_position_that_is_none_is_refused_and_nothing_moves(store: JobStore, ask, to) -> None:
    jobs = ids([store.submit(ask()) for _ in range(3)])
    before = store.list_version
    with pytest.raises(RequestError, match="position must be"):
        store.move(jobs[0], to)
    assert ids(store.queued()) == jobs
    assert store.list_version == before


def test_only_waiting_jobs_move(store: JobStore, ask) -> None:
    running, waiting, last = (store.submit(ask()) for _ in range(3))
    store.claim()
    with pytest.raises(RequestError, match="already running"):
        store.move([last.id, running.id], "top")
    with pytest.raises(NotFoundError):
        store.move([last.id, "nothing"], "top")
    assert ids(store.queued()) == [waiting.id, last.id]


def test_every_move_of_every_selection_keeps_all_jobs_and_their_relative_order() -> None:
    order = list("abcde")
    for size in range(1, 6):
        for chosen in itertools.combinations(order, size):
            rest = [job for job in order if job not in chosen]
            for to in ("up", "down", "top", "bottom", *range(1, 7 - size)):
                new = moved(order, chosen, to)
                assert [job for job in new if job in chosen] == list(chosen)
                assert [job for job in new if job not in chosen] == rest
                if isinstance(to, int):
                    assert new.index(chosen[0]) == to - 1
                if to == "up":
                    assert all(new.index(job) >= order.index(job) - 1 for job in chosen)
    assert moved(order, ["b", "c", "e"], "up") == list("bcaed")
    assert moved(order, ["a", "c", "d"], "down") == list("baecd")


def test_a_change_that_fails_half_way_has_not_happened(store: JobStore, ask) -> None:
    job, other = store.submit(ask()), store.submit(ask())
    db = store.database.writer
    db.execute(
        f"""CREATE TEMP TRIGGER fault BEFORE UPDATE ON jobs WHEN NEW.id = '{job.id}' AND NEW.place = 2
        BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"""
    )
    with pytest.raises(StorageError, match="disk I/O error"):
        store.move(other.id, "top")  # renumbers both, the other one first
    db.execute("DROP TRIGGER fault")
    assert [each.id for each in store.queued()] == [job.id, other.id]
    assert [each.id for each in store.move(other.id, "top")] == [other.id, job.id]


# ---- pause


def test_pause_lets_the_running_job_end_and_starts_no_other(store: JobStore, ask) -> None:
    running, waiting = store.submit(ask()), store.submit(ask())
    store.claim()
    store.pause()
    assert store.paused
    assert store.pause_reason is None
    assert not store.cancelled(running.id)
    assert store.finish(running.id, "completed")
    assert store.claim() is None
    assert not store.wait_for_work(timeout=0.01)
    assert store.submit(ask()).position == 2  # submitting goes on
    store.resume()
    assert not store.paused
    assert store.wait_for_work(timeout=0.01)
    assert store.claim().id == waiting.id  # type: ignore[union-attr]


def test_a_pause_survives_a_restart(path: Path, ask) -> None:
    store = JobStore(path)
    store.submit(ask())
    store.pause("The disk is full.")
    store.pause()  # does not hide the reason
    store.close()
    store = JobStore(path)
    assert (store.paused, store.pause_reason) == (True, "The disk is full.")
    assert store.claim() is None
    store.resume()
    store.close()
    store = JobStore(path)
    assert (store.paused, store.pause_reason) == (False, None)
    assert store.claim() is not None
    store.close()


def test_pause_and_resume_are_news(store: JobStore) -> None:
    for change in (store.pause, store.resume):
        before = store.list_version
        change()
        assert store.list_version > before


def test_a_pause_holds_also_when_the_disk_takes_no_writing(store: JobStore, ask) -> None:
    store.submit(ask())
    store.database.writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError):
        store.pause("The disk is full.")
    store.database.writer.execute("PRAGMA query_only = 0")
    assert store.claim() is None
    store.resume()  # the refused change left no open transaction behind
    assert store.claim() is not None


# ---- clearing


def test_clearing_the_queue_cancels_what_waits_and_nothing_else(store: JobStore, ask) -> None:
    running, *waiting = (store.submit(ask()) for _ in range(4))
    store.claim()
    assert store.clear_queued() == 3
    assert store.counts() | {"running": 1, "cancelled": 3, "queued": 0} == store.counts()
    assert store.get(running.id).state == "running"
    assert not store.cancelled(running.id)
    assert store.get(waiting[0].id).status == "Cancelled before it started"
    assert store.retry(waiting[0].id).position == 1


def test_clearing_the_history_keeps_what_has_not_ended(store: JobStore, ask) -> None:
    ended, running, waiting = (store.submit(ask()) for _ in range(3))
    end(store, ended)
    store.claim()
    assert store.clear_finished() == 1
    with pytest.raises(NotFoundError, match="cleared from the history"):
        store.get(ended.id)
    assert store.get(running.id).state == "running"
    assert ids(store.queued()) == [waiting.id]


def test_removing_one_from_the_history(store: JobStore, ask) -> None:
    ended, waiting = store.submit(ask()), store.submit(ask())
    end(store, ended)
    store.remove(ended.id)
    assert store.recent() == []
    with pytest.raises(NotFoundError):
        store.remove(ended.id)
    with pytest.raises(RequestError, match="is queued; cancel it"):
        store.remove(waiting.id)


def test_the_newest_of_the_history_are_kept(path: Path, ask) -> None:
    store = JobStore(path, max_history=5)
    jobs = []
    for number in range(8):
        jobs.append(store.submit(ask(f"job {number}")))
        end(store, jobs[-1], "completed" if number % 2 else "failed")
    assert ids(store.recent(100)) == ids(reversed(jobs[3:]))
    store.close()


@pytest.mark.parametrize("jump", [-3600, -86400 * 7000, 86400 * 400])
def test_the_history_goes_by_the_order_of_the_ends_and_not_by_the_clock(
    path: Path, ask, monkeypatch, jump: int
) -> None:
    store = JobStore(path, max_history=5)
    jobs = []
    for number in range(5):
        jobs.append(store.submit(ask(f"job {number}")))
        end(store, jobs[-1])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    jobs.append(store.submit(ask("after the clock was moved")))
    end(store, jobs[-1], "completed")
    cancelled = store.submit(ask("never started"))
    store.cancel(cancelled.id)
    lost = store.submit(ask("was running"))
    store.claim()
    store.recover()
    assert ids(store.recent(100)) == [lost.id, cancelled.id, *ids(reversed(jobs[1:]))]
    monkeypatch.setattr(time, "time", lambda: now)
    jobs.append(store.submit(ask("set right again")))
    end(store, jobs[-1])
    assert ids(store.recent(100)) == [jobs[6].id, lost.id, cancelled.id, jobs[5].id, jobs[4].id]
    assert store.get(jobs[5].id).finished == now + jump, "what is recorded is what the clock said"
    store.close()


def test_a_job_that_was_moved_is_remembered_by_its_end(path: Path, ask) -> None:
    store = JobStore(path, max_history=2)
    jobs = [store.submit(ask(f"job {number}")) for number in range(4)]
    store.move(jobs[0].id, "bottom")
    for each in (*jobs[1:], jobs[0]):
        end(store, each)
    assert ids(store.recent()) == [jobs[0].id, jobs[3].id]
    store.close()


def test_jobs_of_an_earlier_schema_come_before_those_that_end_now(path: Path, ask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = schema.connect(path)
    schema.migrate(db, schema.MIGRATIONS[:3])
    for number in range(4):  # the clock was far ahead when they ended
        db.execute(
            """INSERT INTO jobs(id, kind, state, place, request, created, finished)
            VALUES (?, 'generate', 'completed', 1, ?, 1.5, ?)""",
            (f"{number:016x}", ask("from before").model_dump_json(), 4e9 - number),
        )
    db.close()
    store = JobStore(path, max_history=3)
    job = store.submit(ask())
    end(store, job)
    assert ids(store.recent()) == [job.id, f"{3:016x}", f"{2:016x}"]
    store.close()


def test_a_thousand_are_kept_unless_told_otherwise(store: JobStore) -> None:
    assert store.max_history == 1000


def test_several_at_once_tells_of_each_that_could_not(store: JobStore, ask) -> None:
    done, a, b = (store.submit(ask()) for _ in range(3))
    end(store, done, "completed")
    jobs, refusals = store.apply_to_many(store.cancel, [a.id, done.id, "nothing", b.id])
    assert ids(jobs) == [a.id, b.id]
    assert {job.state for job in jobs} == {"cancelled"}
    assert len(refusals) == 2
    assert "already completed" in refusals[0]
    retried, refusals = store.apply_to_many(store.retry, [a.id, b.id])
    assert [job.retry_of for job in retried] == [a.id, b.id]
    assert refusals == []
    assert store.apply_to_many(store.remove, [a.id]) == ([], [])


# ---- after an unclean end


def test_a_picture_that_was_saved_but_not_noted_is_found_again(
    store: JobStore, settings, make_worker, ask
) -> None:
    outputs = Outputs(settings)
    job = store.submit(ask(num_images=4))
    store.claim()
    run = outputs.new_run(job.request, job.kind, job.id)
    store.run_started(job.id, run.id)
    for index in range(2):
        image_id = run.save(index, Image.new("RGB", (8, 8)), index)
        if index == 0:
            store.image_done(job.id, image_id)
    # the process dies here; a new one starts:
    assert recover(store, Outputs(settings)) == 1
    job = store.get(job.id)
    assert job.images == (f"{run.id}/0.png", f"{run.id}/1.png")
    assert (job.state, job.status) == ("interrupted", "Interrupted; 2 of 4 images kept")
    assert json.loads((run.path / "meta.json").read_text())["state"] == "interrupted"
    assert recover(store, outputs) == 0


def test_a_job_of_which_all_pictures_are_there_is_completed(store: JobStore, settings, ask) -> None:
    outputs = Outputs(settings)
    job = store.submit(ask(num_images=2))
    store.claim()
    run = outputs.new_run(job.request, job.kind, job.id)
    store.run_started(job.id, run.id)
    for index in range(2):
        run.save(index, Image.new("RGB", (8, 8)), index)
    assert recover(store, Outputs(settings)) == 0
    ended = store.get(job.id)
    assert (ended.state, ended.status) == ("completed", "Completed")
    assert ended.images == (f"{run.id}/0.png", f"{run.id}/1.png")
    assert json.loads((run.path / "meta.json").read_text())["state"] == "completed"


@pytest.mark.parametrize("recorded", [0, 1])
def test_a_kill_between_a_picture_and_its_record_leaves_no_gap_in_that(
    store: JobStore, settings, ask, recorded: int
) -> None:
    outputs = Outputs(settings)
    job = store.submit(ask(num_images=2))
    store.claim()
    run = outputs.new_run(job.request, job.kind, job.id)
    store.run_started(job.id, run.id)
    record, whole = run.path / "meta.json", {}
    for index in range(2):
        earlier = record.read_bytes() if record.exists() else None
        facts = {"drawn": "a duck", "versions": {"torch": "2"}}
        run.save(index, Image.new("RGB", (8, 8)), 5 + index, ["A warning."], facts)
        whole = json.loads(record.read_text())
        if index >= recorded:
            record.write_bytes(earlier) if earlier else record.unlink()
    assert recover(store, Outputs(settings)) == 0
    mended = json.loads(record.read_text())
    assert mended["state"] == "completed" and mended["timestamp"] == pytest.approx(whole["timestamp"], abs=1)
    assert mended | {each: whole[each] for each in ("state", "timestamp")} == whole


def test_a_picture_that_was_saved_during_a_hurried_shutdown_is_found_again(
    store: JobStore, settings, ask
) -> None:
    outputs = Outputs(settings)
    job = store.submit(ask(num_images=4))
    store.claim()
    run = outputs.new_run(job.request, job.kind, job.id)
    store.run_started(job.id, run.id)
    store.recover("The studio was stopped.")  # the step took too long; the thread goes on for a moment
    image_id = run.save(0, Image.new("RGB", (8, 8)), 0)
    Image.new("RGB", (8, 8)).save(run.path / "0_upscaled.png")
    assert recover(store, Outputs(settings)) == 0
    assert store.get(job.id).images == (image_id,)
    assert store.get(job.id).error == "The studio was stopped."
    assert json.loads((run.path / "meta.json").read_text())["state"] == "interrupted"


def test_recovery_touches_no_folder_that_holds_anything(store: JobStore, settings, ask) -> None:
    job = store.submit(ask())
    store.claim()
    notes = settings.outputs / "my notes"
    notes.mkdir()
    (notes / "a.txt").write_text("mine")
    store.run_started(job.id, "2026-01-01_00-00-00")  # the user deleted it meanwhile
    assert recover(store, Outputs(settings)) == 1
    assert (notes / "a.txt").read_text() == "mine"
    assert settings.data_dir.is_dir()


# ---- times


def test_no_time_left_is_told_before_there_is_something_to_go_by() -> None:
    live = JobProgress()
    assert live.seconds_left(2) is None
    live.stepped(0, 1, 10, now=100.0)  # may have carried the loading of the model
    live.stepped(0, 2, 10, now=100.5)
    assert live.seconds_per_step() is None
    assert live.seconds_left(2) is None
    live.stepped(0, 3, 10, now=101.0)
    assert live.seconds_per_step() == 0.5
    assert live.seconds_left(2) == pytest.approx(17 * 0.5)


def test_the_time_between_images_counts_once_it_was_measured() -> None:
    live = JobProgress()
    now = 0.0
    for step in range(1, 5):
        now += 1.0
        live.stepped(0, step, 4, now=now)
    assert live.seconds_left(3) == pytest.approx(8 * 1.0)
    live.stepped(1, 1, 4, now=now + 3.0)  # 2 s of decoding and saving, 1 s for the step
    assert live.seconds_per_step() == 1.0
    assert live.seconds_left(3) == pytest.approx(7 * 1.0 + 2 * 2.0)


def test_a_second_pass_with_its_own_steps_does_not_spoil_the_pace() -> None:
    live = JobProgress()
    for step in range(1, 4):
        live.worked(step / 8, "First pass")
        live.stepped(0, step, 3, now=float(step))
    live.worked(4 / 8, "Second pass")
    live.stepped(0, 1, 5, now=50.0)  # starts again at 1: loading lies between
    live.worked(5 / 8, "Second pass")
    live.stepped(0, 2, 5, now=51.0)
    assert live.seconds_per_step() == 1.0
    assert live.seconds_left(1) == pytest.approx(3.0)


def test_the_share_of_a_job_never_falls(store: JobStore, ask) -> None:
    job = store.submit(ask(steps=4, num_images=2))
    store.claim()
    shares = []
    # The second picture is begun anew, as when memory ran out; a picture's second pass counts from 1 again.
    reports = [(0.5, "", 4), (0.75, "Hires fix", 1), (1.5, "", 4), (1.25, "", 1), (1.75, "Hires fix", 2)]
    for pictures, name, step in reports:
        store.worked(job.id, pictures, name)
        store.progress(job.id, int(pictures), step, 4)
        shares.append(store.get(job.id).progress)
    assert shares == [0.25, 0.375, 0.75, 0.75, 0.875]
    assert status_line(store.get(job.id)).startswith("Image 2 of 2, hires fix, step 2 of 4")


def test_times_of_a_job(store: JobStore, ask) -> None:
    job = store.submit(ask(steps=4))
    assert (job.started, job.finished) == (None, None)
    assert job.waited(job.created + 7) == 7
    started = store.claim()
    assert started is not None
    assert started.started is not None
    assert started.waited(started.started + 99) == started.started - started.created
    for step in range(1, 5):
        store.progress(job.id, 0, step, 4)
    assert store.get(job.id).seconds_left == 0
    store.finish(job.id, "completed")
    ended = store.get(job.id)
    assert ended.finished is not None
    assert ended.created <= ended.started <= ended.finished  # type: ignore[operator]
    assert ended.seconds_per_step is not None  # kept
    assert ended.seconds_left is None


# ---- cost


@pytest.mark.parametrize("query", ["ONE", "QUEUED", "RUNNING", "SUSPENDED", "RECENT", "COUNTS", "WAITING"])
def test_the_queries_of_a_tick_use_an_index(store: JobStore, query: str) -> None:
    assert_index(store, getattr(queries, query))


@pytest.mark.parametrize("query", ["CLAIM", "CANCEL", "RETAIN"])
def test_what_each_job_writes_uses_an_index(store: JobStore, query: str) -> None:
    assert_index(store, getattr(statements, query))


@pytest.mark.parametrize("query", ["LAST_PLACE", "FIRST_PLACE", "UNFINISHED"])
def test_what_putting_aside_reads_uses_an_index(store: JobStore, query: str) -> None:
    assert_index(store, getattr(suspension, query))


def assert_index(store: JobStore, text: str) -> None:
    values = (0,) * text.count("?")
    plan = store.database.reader.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()
    steps = [row["detail"] for row in plan]
    assert not [step for step in steps if "SCAN" in step and "INDEX" not in step], steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps
