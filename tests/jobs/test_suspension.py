"""Jobs that are put aside or interrupted, and go on: nothing of them is drawn twice, nothing is lost."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
from pathlib import Path

import pytest
from painter import Painter, Unfinished
from PIL import Image

from webbduck_gradio.errors import NotFoundError, QueueFullError, RequestError
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.jobs.job import ContinuesAt, Job
from webbduck_gradio.jobs.recovery import recover
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.unfinished import StateSaver
from webbduck_gradio.request import CaptionRequest, UpscaleRequest
from webbduck_gradio.settings import Settings


@pytest.fixture
def each_state_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateSaver, "first_seconds", 0.0)
    monkeypatch.setattr(StateSaver, "seconds_between", 0.0)


def colours(settings: Settings, job: Job) -> list[tuple[int, ...]]:
    found = []
    for image in job.images:
        with Image.open(settings.outputs / image) as picture:
            found.append(picture.getpixel((0, 0)))
    return found


def painted(store: JobStore, make_worker, ask, **more) -> Job:
    """The same job without a break."""
    return run(store, make_worker(Painter()), store.submit(ask(**more)))


def run(store: JobStore, worker, job: Job) -> Job:
    claimed = store.claim()
    assert claimed is not None
    assert claimed.id == job.id
    worker.run(claimed)
    return store.get(job.id)


def suspend_at(store: JobStore, place: tuple[int, int]) -> Painter:
    """Puts its job aside during this step of this image, the first time that it comes by."""
    left = [place]

    def at(image: int, step: int, request) -> None:
        if left and left[0] == (image, step):
            left.clear()
            store.suspend(store.running().id)  # type: ignore[union-attr]

    return Painter(at)


def files(store: JobStore) -> set[str]:
    return store.unfinished.ids()


def crash_in(store: JobStore, ask, state: Unfinished | None = None, images: int = 0, **more) -> Job:
    """A job that ran when the studio died, with a state on the disk."""
    job = store.submit(ask(**more))
    store.claim()
    for index in range(images):
        store.image_done(job.id, f"2026-01-01_00-00-00/{index}.png")
    if state:
        store.unfinished.write(job.id, state).result()
    assert store.recover() == 1
    return store.get(job.id)


@pytest.mark.parametrize("place", list(itertools.product(range(2), range(1, 4))))
def test_a_job_goes_on_after_any_step_and_ends_with_the_same_pictures(
    store: JobStore, settings, make_worker, ask, place: tuple[int, int]
) -> None:
    expected = colours(settings, painted(store, make_worker, ask, num_images=2, steps=3))
    painter = suspend_at(store, place)
    worker = make_worker(painter)
    job = run(store, worker, store.submit(ask(num_images=2, steps=3)))
    image, step = place
    if place == (1, 3):  # nothing is left but to decode it
        assert job.state == "completed"
    else:
        assert (job.state, job.finished, job.error) == ("suspended", None, None)
        # A picture of which all steps are done is finished first, and the next one begins anew.
        assert job.continues_at == (ContinuesAt(image, step, 3) if step < 3 else ContinuesAt(image + 1))
        assert files(store) == ({job.id} if step < 3 else set())
        assert job.can_continue
        assert store.claim() is None
        assert store.continue_job(job.id).position == 1
        job = run(store, worker, job)
    assert (job.state, job.status) == ("completed", "Completed")
    assert painter.steps == list(itertools.product(range(2), range(1, 4)))
    assert colours(settings, job) == expected
    assert job.images == (f"{job.run}/0.png", f"{job.run}/1.png")
    assert files(store) == set()
    meta = json.loads((settings.outputs / str(job.run) / "meta.json").read_text())
    assert (meta["state"], list(meta["images"]), meta["seeds"]) == ("completed", ["0.png", "1.png"], [1, 2])


def test_what_is_put_aside_survives_a_restart_and_cleaning_up(
    store: JobStore, settings, make_worker, ask, path: Path
) -> None:
    job = run(store, make_worker(suspend_at(store, (1, 2))), store.submit(ask(num_images=3, steps=4)))
    others = [store.submit(ask()) for _ in range(3)]
    store.max_history = 1
    for other in others[:2]:
        run(store, make_worker(Painter()), other)
    assert store.clear_queued() == 1
    store.clear_finished()
    store.sweep_unfinished()
    store.close()
    store = JobStore(path)
    assert recover(store, Outputs(settings)) == 0
    again = store.get(job.id)
    assert again == job
    assert store.suspended() == [job]
    assert store.counts()["suspended"] == 1
    assert store.recent() == store.queued() == []
    assert again.continues_at == ContinuesAt(1, 2, 4)
    with pytest.raises(RequestError, match="is suspended; cancel it"):
        store.remove(job.id)
    with pytest.raises(RequestError, match="already suspended"):
        store.move(job.id, "top")
    with pytest.raises(RequestError, match="only a failed, cancelled or interrupted job"):
        store.retry(job.id)
    store.close()


def test_the_queue_goes_on_and_the_job_comes_back_at_its_top(store: JobStore, make_worker, ask) -> None:
    worker = make_worker(suspend_at(store, (0, 1)))
    job, first, second = (store.submit(ask(name)) for name in ("aside", "first", "second"))
    assert run(store, worker, job).state == "suspended"
    assert run(store, worker, first).state == "completed"
    job = store.continue_job(job.id)
    assert [each.id for each in store.queued()] == [job.id, second.id]
    assert (job.state, job.can_continue, job.continues_at) == ("queued", False, ContinuesAt(0, 1, 2))
    assert run(store, worker, job).state == "completed"


def test_a_full_queue_refuses_one_more(store: JobStore, make_worker, ask) -> None:
    job = run(store, make_worker(suspend_at(store, (0, 1))), store.submit(ask()))
    waiting = [store.submit(ask(f"job {number}")) for number in range(32)]  # the suspended one does not count
    with pytest.raises(QueueFullError, match="The queue is full: 32 jobs are waiting"):
        store.continue_job(job.id)
    assert store.get(job.id) == job
    store.cancel(waiting[0].id)
    assert store.continue_job(job.id).position == 1


def test_only_a_running_job_that_draws_can_be_put_aside(store: JobStore, ask) -> None:
    upscale = UpscaleRequest(image="RUN/0.png", scale=2, upscaler="Lanczos")
    caption = CaptionRequest(image="RUN/0.png", captioner="told")
    jobs = [store.submit(upscale, kind="upscale"), store.submit(caption, kind="caption")]
    waiting = store.submit(ask())
    for job in jobs:
        store.claim()
        with pytest.raises(RequestError, match="only a job that generates pictures can go on later"):
            store.suspend(job.id)
        store.finish(job.id, "completed")
    with pytest.raises(RequestError, match="has not started; move it down, or pause the queue"):
        store.suspend(waiting.id)
    store.claim()
    store.cancel(waiting.id)
    with pytest.raises(RequestError, match="it is being cancelled"):
        store.suspend(waiting.id)
    store.finish(waiting.id, "cancelled")
    with pytest.raises(RequestError, match="it is already cancelled"):
        store.suspend(waiting.id)
    with pytest.raises(NotFoundError):
        store.suspend("nothing")


def test_only_what_was_begun_can_go_on(store: JobStore, ask) -> None:
    queued = store.submit(ask())
    with pytest.raises(RequestError, match="is queued; only a job that was put aside or interrupted"):
        store.continue_job(queued.id)
    store.cancel(queued.id)
    with pytest.raises(RequestError, match="is cancelled; only a job"):
        store.continue_job(queued.id)
    lost = crash_in(store, ask)
    assert not lost.can_continue
    with pytest.raises(RequestError, match="nothing of it was finished or saved; retry it instead"):
        store.continue_job(lost.id)
    with pytest.raises(NotFoundError):
        store.continue_job("nothing")


def test_cancelled_while_aside(store: JobStore, settings, make_worker, ask) -> None:
    job = run(store, make_worker(suspend_at(store, (1, 1))), store.submit(ask(num_images=3)))
    ended = store.cancel(job.id)
    assert (ended.state, ended.status) == ("cancelled", "Cancelled; 1 of 3 images kept")
    assert files(store) == set()
    assert not ended.can_continue
    assert (settings.outputs / job.images[0]).is_file()


@pytest.mark.parametrize("way", ["cancel", "clear_queued"])
def test_cancelled_while_it_waits_to_go_on(store: JobStore, make_worker, ask, way: str) -> None:
    job = run(store, make_worker(suspend_at(store, (1, 1))), store.submit(ask(num_images=3)))
    store.continue_job(job.id)
    _ = store.cancel(job.id) if way == "cancel" else store.clear_queued()
    assert store.get(job.id).status == "Cancelled; 1 of 3 images kept"
    assert files(store) == set()


def test_cancelled_after_it_went_on(store: JobStore, settings, make_worker, ask) -> None:
    worker = make_worker(suspend_at(store, (1, 1)))
    job = run(store, worker, store.submit(ask(num_images=3, steps=4)))
    store.continue_job(job.id)
    worker.context.generator.at = lambda *_: store.cancel(job.id)  # within the first step of this time
    job = run(store, worker, job)
    assert (job.state, job.status) == ("cancelled", "Cancelled; 1 of 3 images kept")
    assert files(store) == set()
    assert Outputs(settings).runs()[0].meta["state"] == "cancelled"


def test_a_cancel_comes_before_putting_aside(store: JobStore, make_worker, ask) -> None:
    def both(image: int, step: int, request) -> None:
        store.suspend(store.running().id)  # type: ignore[union-attr]
        store.cancel(store.running().id)  # type: ignore[union-attr]

    job = run(store, make_worker(Painter(both)), store.submit(ask()))
    assert (job.state, files(store)) == ("cancelled", set())


def test_putting_aside_takes_back_stopping_after_the_image(store: JobStore, make_worker, ask) -> None:
    def both(image: int, step: int, request) -> None:
        if (image, step) == (0, 1) and not store.get(job.id).suspended:
            store.cancel(job.id, after_image=True)
            store.suspend(job.id)

    worker, job = make_worker(Painter(both)), store.submit(ask(num_images=2))
    assert run(store, worker, job).state == "suspended"
    store.continue_job(job.id)
    assert run(store, worker, job).status == "Completed"


def test_put_aside_twice(store: JobStore, settings, make_worker, ask) -> None:
    expected = colours(settings, painted(store, make_worker, ask, steps=4))
    worker = make_worker(suspend_at(store, (0, 1)))
    job = run(store, worker, store.submit(ask(steps=4)))
    store.continue_job(job.id)
    worker.context.generator.at = suspend_at(store, (0, 3)).at
    job = run(store, worker, job)
    assert job.continues_at == ContinuesAt(0, 3, 4)
    store.continue_job(job.id)
    job = run(store, worker, job)
    assert colours(settings, job) == expected


def test_put_aside_while_it_loads_loses_nothing_of_before(store: JobStore, make_worker, ask) -> None:
    painter = suspend_at(store, (0, 2))
    worker = make_worker(painter)
    job = run(store, worker, store.submit(ask(steps=4)))
    store.continue_job(job.id)
    claimed = store.claim()
    assert claimed is not None
    store.suspend(job.id)  # before its first step
    worker.run(claimed)
    assert store.get(job.id).continues_at == ContinuesAt(0, 2, 4)
    store.continue_job(job.id)
    assert run(store, worker, job).state == "completed"
    assert painter.steps == [(0, step) for step in range(1, 5)]


def test_a_full_disk_refuses_and_the_job_runs_on(
    store: JobStore, make_worker, ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self, file) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    told: list[tuple[str, ...]] = []

    def at(image: int, step: int, request) -> None:
        if step == 1:
            store.suspend(store.running().id)  # type: ignore[union-attr]
        told.append(store.running().warnings)  # type: ignore[union-attr]

    monkeypatch.setattr(Unfinished, "write", full)
    job = run(store, make_worker(Painter(at)), store.submit(ask(steps=3)))
    assert job.state == "completed"
    assert files(store) == set()
    sentence = (
        f"The job could not be put aside and goes on running: {job.id}.safetensors could not be saved "
        "because the disk is full; free some space."
    )
    assert told == [(), (sentence,), (sentence,)]
    assert job.warnings == ("painted",)  # it is no fault of the pictures


def test_states_are_saved_by_themselves_and_a_crash_costs_one_step(
    store: JobStore, settings, make_worker, ask, each_state_is_saved: None
) -> None:
    seen: list[ContinuesAt | None] = []

    def at(image: int, step: int, request) -> None:
        store.unfinished._writer.submit(lambda: None).result()  # what was to be written is
        seen.append(store.unfinished.position(store.running().id))  # type: ignore[union-attr]

    job = run(store, make_worker(Painter(at)), store.submit(ask(steps=3)))
    assert seen == [None, ContinuesAt(0, 1, 3), ContinuesAt(0, 2, 3)]
    assert job.state == "completed"
    assert files(store) == set()


def test_a_short_job_saves_no_state(store: JobStore, make_worker, ask) -> None:
    assert StateSaver.first_seconds == 20
    assert StateSaver.seconds_between == 10
    at = Painter(lambda *_: files(store) and pytest.fail("a state was saved"))
    assert run(store, make_worker(at), store.submit(ask())).state == "completed"


def test_a_failed_job_leaves_no_state(
    store: JobStore, make_worker, ask, each_state_is_saved: None, caplog
) -> None:
    def fail(image: int, step: int, request) -> None:
        if step == 3:
            raise MemoryError

    assert run(store, make_worker(Painter(fail)), store.submit(ask(steps=4))).state == "failed"
    assert files(store) == set()


def test_stopping_the_studio_keeps_the_last_step(store: JobStore, make_worker, ask) -> None:
    worker = None

    def stop(image: int, step: int, request) -> None:
        if step == 2:
            worker._stopping.set()  # type: ignore[attr-defined]

    worker = make_worker(Painter(stop))
    job = run(store, worker, store.submit(ask(steps=5)))
    assert (job.state, job.continues_at) == ("interrupted", ContinuesAt(0, 2, 5))


def test_an_interrupted_job_goes_on_from_its_state(store: JobStore, settings, make_worker, ask) -> None:
    expected = colours(settings, painted(store, make_worker, ask, num_images=2, steps=4))
    # The sum that the painter has after step 2 of picture 0, whose seed is 1.
    job = crash_in(store, ask, Unfinished(0, 2, 4, (1 * 31 + 1) * 31 + 2), num_images=2, steps=4)
    assert (job.state, job.can_continue, job.continues_at) == ("interrupted", True, ContinuesAt(0, 2, 4))
    job = store.continue_job(job.id)
    assert (job.error, job.finished, job.status) == (None, None, "Queued")
    painter = Painter()
    job = run(store, make_worker(painter), job)
    assert painter.steps[0] == (0, 3)
    assert colours(settings, job) == expected
    assert job.took is None  # how long it ran before the crash is not known


def test_an_old_state_of_a_finished_picture_is_not_used(store: JobStore, make_worker, ask) -> None:
    job = crash_in(store, ask, Unfinished(0, 2, 4, 0), images=1, num_images=3, steps=4)
    assert job.continues_at == ContinuesAt(1)
    painter = Painter()
    store.continue_job(job.id)
    run(store, make_worker(painter), job)
    assert painter.steps[0] == (1, 1)


def test_a_picture_saved_but_not_noted_is_not_drawn_again(
    store: JobStore, settings, make_worker, ask
) -> None:
    job = store.submit(ask(num_images=2, steps=4))
    store.claim()
    outputs = Outputs(settings)
    folder = outputs.new_run(job.generation_request, job.kind, job.id)
    store.run_started(job.id, folder.id)
    store.unfinished.write(job.id, Unfinished(0, 4, 4, 0)).result()
    folder.save(0, Image.new("RGB", (8, 8), "red"), 1)
    # the process dies here; a new one starts:
    assert recover(store, Outputs(settings)) == 1
    assert store.get(job.id).continues_at == ContinuesAt(1)
    store.continue_job(job.id)
    job = run(store, make_worker(Painter()), job)
    assert job.images == (f"{folder.id}/0.png", f"{folder.id}/1.png")
    assert colours(settings, job)[0] == (255, 0, 0), "the picture that was there is kept"


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"this was a state once" * 9),
        lambda file: file.write_bytes(file.read_bytes()[:-3]),
        lambda file: file.write_bytes(file.read_bytes().replace(b"unfinished-1", b"unfinished-9")),
        lambda file: file.write_bytes(file.read_bytes().replace(b'"step": "2"', b'"step": "x"')),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_damaged_state_is_not_used(store: JobStore, make_worker, ask, damage, caplog) -> None:
    job = run(store, make_worker(suspend_at(store, (1, 2))), store.submit(ask(num_images=2, steps=4)))
    damage(store.unfinished.path(job.id))
    assert store.get(job.id).continues_at == ContinuesAt(1)
    painter = Painter()
    store.continue_job(job.id)
    assert run(store, make_worker(painter), job).state == "completed"
    assert painter.steps == [(1, step) for step in range(1, 5)]


def test_a_state_is_read_once_per_version(store: JobStore, ask, monkeypatch: pytest.MonkeyPatch) -> None:
    job = crash_in(store, ask, Unfinished(0, 1, 2, 0))
    assert job.can_continue
    monkeypatch.setattr("webbduck_gradio.jobs.unfinished.read_header", lambda path: pytest.fail("read again"))
    assert store.recent()[0].continues_at == ContinuesAt(0, 1, 2)


def test_states_of_jobs_that_are_gone_are_removed(store: JobStore, make_worker, ask) -> None:
    kept = crash_in(store, ask, Unfinished(0, 1, 2, 0))
    for job_id in ("0" * 16, "a stranger's"):
        shutil.copy(store.unfinished.path(kept.id), store.unfinished.path(job_id))
    store.sweep_unfinished()
    assert files(store) == {kept.id}
    store.remove(kept.id)
    assert files(store) == set()
    crash_in(store, ask, Unfinished(0, 1, 2, 0))
    store.clear_finished()
    assert files(store) == set()


# ---- the run


def test_a_run_deleted_meanwhile_is_made_again_and_can_be_restored(
    store: JobStore, settings, make_worker, ask
) -> None:
    worker = make_worker(suspend_at(store, (1, 1)))
    job = run(store, worker, store.submit(ask(num_images=3)))
    trash = Trash(settings, worker.context.outputs)
    entry = trash.delete_run(str(job.run))
    assert not (settings.outputs / str(job.run)).exists()
    store.continue_job(job.id)
    job = run(store, worker, job)
    assert job.state == "completed"
    names = lambda: sorted(each.name for each in (settings.outputs / str(job.run)).glob("*.png"))  # noqa: E731
    assert names() == ["1.png", "2.png"]
    assert trash.restore(entry.id) == (f"{job.run}/0.png",)
    assert names() == ["0.png", "1.png", "2.png"]


def test_a_picture_deleted_meanwhile_is_not_drawn_again(store: JobStore, settings, make_worker, ask) -> None:
    painter = suspend_at(store, (2, 1))
    worker = make_worker(painter)
    job = run(store, worker, store.submit(ask(num_images=3)))
    (settings.outputs / job.images[0]).unlink()
    (settings.outputs / job.images[1]).unlink()
    store.continue_job(job.id)
    assert run(store, worker, job).state == "completed"
    assert painter.steps == list(itertools.product(range(3), (1, 2)))


def test_an_unreadable_record_of_the_run_costs_no_picture(
    store: JobStore, settings, make_worker, ask, caplog
) -> None:
    worker = make_worker(suspend_at(store, (1, 1)))
    job = run(store, worker, store.submit(ask(num_images=2)))
    record = settings.outputs / str(job.run) / "meta.json"
    assert json.loads(record.read_text())["state"] == "suspended"
    record.write_text("{")
    store.continue_job(job.id)
    assert run(store, worker, job).state == "completed"
    assert json.loads(record.read_text())["state"] == "completed"


def test_times_leave_out_the_break(store: JobStore, make_worker, ask, monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])

    def at(image: int, step: int, request) -> None:
        now[0] += 10
        if step == 2 and now[0] < 2000:
            store.suspend(job.id)

    worker, job = make_worker(Painter(at)), store.submit(ask(steps=4))
    run(store, worker, job)
    now[0] = 5000.0
    store.continue_job(job.id)
    now[0] = 5003.0
    job = run(store, worker, job)
    assert job.took == 40
    assert job.waited(now[0]) == 3
