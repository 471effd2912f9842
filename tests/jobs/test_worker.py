"""One claimed job, to its end: what is saved, what is told, what a fault leaves behind."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from painter import Painter
from PIL import Image
from running import PATIENCE

from webbduck_gradio.errors import OutOfMemoryError, RequestError, StorageError
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.job import Job
from webbduck_gradio.jobs.previews import PREVIEW_SECONDS, UNWATCHED_PREVIEW_SECONDS
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.settings import HOME, Settings


def run(store: JobStore, worker, request, **more) -> Job:
    job = store.submit(request, **more)
    claimed = store.claim()
    assert claimed is not None
    assert claimed.id == job.id
    worker.run(claimed)
    return store.get(job.id)


def leftovers(settings: Settings) -> list[Path]:
    """Files that are only there while something runs."""
    return [p for p in settings.outputs.rglob("*") if p.suffix in (".part", ".tmp")] + list(
        settings.previews.iterdir()
    )


def empty_runs(settings: Settings) -> list[str]:
    runs = [p for p in settings.outputs.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return [run.name for run in runs if not list(run.glob("*.png"))]


def test_every_picture_is_saved_when_it_is_finished(store: JobStore, settings, make_worker, ask) -> None:
    on_disk: list[int] = []

    def look(image: int, step: int, request) -> None:
        if step == 1:
            on_disk.append(len(list(settings.outputs.glob("*/*.png"))))
            assert len(store.running().images) == image

    job = run(store, make_worker(Painter(look)), ask(num_images=3), owner="anna")
    assert on_disk == [0, 1, 2]
    assert (job.state, job.status, job.error) == ("completed", "Completed", None)
    assert job.images == tuple(f"{job.run}/{n}.png" for n in range(3))
    assert job.warnings == ("painted",)
    outputs = Outputs(settings)
    for image_id in job.images:
        with Image.open(outputs.resolve(image_id)) as image:
            assert "a red duck" in image.text["parameters"]  # type: ignore[attr-defined]
    (info,) = outputs.runs()
    assert (info.meta["state"], info.meta["job_id"], info.meta["owner"]) == ("completed", job.id, "anna")
    assert leftovers(settings) == []


def test_previews_come_while_it_runs_and_go_after_it(store: JobStore, settings, make_worker, ask) -> None:
    seen: list[tuple[int, int]] = []
    worker = None

    def look(image: int, step: int, request) -> None:
        job = store.running()
        assert worker is not None
        assert job is not None
        if job.preview:
            with Image.open(worker.previews.path(job.id)) as preview:
                seen.append(preview.size)
                assert preview.format == "JPEG"

    worker = make_worker(Painter(look))
    job = run(store, worker, ask(steps=4))
    assert set(seen) == {(384, 192)}
    assert job.preview == 0
    assert leftovers(settings) == []


def test_previews_are_rare_while_nobody_looks(make_worker) -> None:
    worker = make_worker(Painter())
    assert worker.previews.seconds_between == UNWATCHED_PREVIEW_SECONDS
    worker.previews.mark_watched()
    assert worker.previews.seconds_between == PREVIEW_SECONDS


def test_cancel_keeps_what_is_finished(store: JobStore, settings, make_worker, ask) -> None:
    def cancel(image: int, step: int, request) -> None:
        if (image, step) == (2, 1):
            store.cancel(store.running().id)

    job = run(store, make_worker(Painter(cancel)), ask(num_images=4))
    assert (job.state, job.status, job.error) == ("cancelled", "Cancelled; 2 of 4 images kept", None)
    assert len(job.images) == 2
    assert sorted(p.name for p in settings.outputs.glob("*/*.png")) == ["0.png", "1.png"]
    assert Outputs(settings).runs()[0].meta["state"] == "cancelled"
    assert leftovers(settings) == []


def test_cancel_after_the_image_being_made(store: JobStore, settings, make_worker, ask) -> None:
    def cancel(image: int, step: int, request) -> None:
        if (image, step) == (1, 1):
            job = store.cancel(store.running().id, after_image=True)
            assert job.cancel_requested
            assert job.cancel_after_image

    worker = make_worker(Painter(cancel))
    job = run(store, worker, ask(num_images=4))
    assert (job.state, job.status) == ("cancelled", "Cancelled; 2 of 4 images kept")
    # Where it is the last one anyway, nothing is left out.
    job = run(store, worker, ask(num_images=2))
    assert (job.state, job.cancel_requested) == ("completed", True)


def test_cancel_at_once_after_all(store: JobStore, make_worker, ask) -> None:
    def cancel(image: int, step: int, request) -> None:
        if step == 1:
            store.cancel(store.running().id, after_image=True)
            job = store.cancel(store.running().id)
            assert not job.cancel_after_image
            assert not store.cancel(job.id, after_image=True).cancel_after_image  # not taken back

    job = run(store, make_worker(Painter(cancel)), ask(num_images=2))
    assert (job.state, job.status) == ("cancelled", "Cancelled; no image was finished")


def test_cancel_before_the_first_picture_leaves_no_folder(
    store: JobStore, settings, make_worker, ask
) -> None:
    job = run(store, make_worker(Painter(lambda *_: store.cancel(store.running().id) and None)), ask())
    assert (job.state, job.status, job.run) == ("cancelled", "Cancelled; no image was finished", None)
    assert empty_runs(settings) == []


def test_a_cancel_after_the_last_step_finds_the_job_completed(store: JobStore, make_worker, ask) -> None:
    def cancel(image: int, step: int, request) -> None:
        if step == request.steps:
            store.cancel(store.running().id)

    worker = make_worker(Painter(cancel))
    first = run(store, worker, ask(num_images=1))
    assert first.state == "completed"
    assert first.cancel_requested
    worker.context.generator.at = lambda *_: None
    assert run(store, worker, ask()).state == "completed"


def fault(error: BaseException):
    def raise_it(image: int, step: int, request) -> None:
        if image == 1:
            raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OutOfMemoryError("Lower the size."), "Lower the size."),
        (StorageError("No."), "No."),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full; free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y.png"), "file y.png .*permission denied"),
        (MemoryError(), "There is not enough memory"),
        (
            ZeroDivisionError("secret detail"),
            r"internal error occurred \(ZeroDivisionError\); the log has",
        ),
        (KeyboardInterrupt(), r"\(KeyboardInterrupt\)"),
        (SystemExit(3), r"\(SystemExit\)"),
    ],
)
def test_a_fault_ends_this_job_with_a_sentence_and_no_other(
    store: JobStore, settings, make_worker, ask, error, sentence: str
) -> None:
    painter = Painter(fault(error))
    worker = make_worker(painter)
    job = run(store, worker, ask(num_images=3))
    assert job.state == "failed"
    assert re.search(sentence, job.error or ""), job.error
    assert "secret detail" not in (job.error or "")
    assert job.status == "Failed; 1 of 3 images kept"
    assert len(job.images) == 1
    assert Outputs(settings).resolve(job.images[0]).is_file()
    assert Outputs(settings).runs()[0].meta["state"] == "failed"
    assert leftovers(settings) == []
    assert "Traceback" not in (job.error or "")
    full = "disk is full" in (job.error or "")
    assert store.paused == full
    assert ("free some space" in (store.pause_reason or "")) == full
    store.resume()
    painter.at = lambda *_: None
    assert run(store, worker, ask()).state == "completed"


def test_a_full_disk_met_by_the_gallery_pauses_the_queue_too(store: JobStore, make_worker, ask) -> None:
    def full(image: int, step: int, request) -> None:
        raise StorageError("0.png could not be saved because the disk is full.") from OSError(
            errno.ENOSPC, "No space left on device"
        )

    waiting = store.submit(ask())
    store.move(waiting.id, "bottom")
    job = store.submit(ask())
    store.move(job.id, "top")
    make_worker(Painter(full)).run(store.claim())
    assert "disk is full" in (store.get(job.id).error or "")
    assert store.paused
    assert store.claim() is None
    assert store.get(waiting.id).state == "queued"


def test_the_log_has_the_details(store: JobStore, make_worker, ask, caplog) -> None:
    run(store, make_worker(Painter(fault(ZeroDivisionError("secret detail")))), ask(num_images=2))
    assert "secret detail" in caplog.text
    assert "Traceback" in caplog.text


def test_a_checkpoint_that_went_away(store: JobStore, settings, make_worker, ask) -> None:
    painter = Painter()
    job = run(store, make_worker(painter), ask(base_model="gone"))
    assert job.state == "failed"
    assert "gone" in (job.error or "")
    assert empty_runs(settings) == []


def test_a_generator_that_cannot_be_made(store: JobStore, settings, make_worker, ask) -> None:
    worker = make_worker(None)

    def broken():
        raise ImportError("no module named torch")

    worker.context.make_generator = broken
    job = run(store, worker, ask())
    assert job.state == "failed"
    assert "ImportError" in (job.error or "")
    worker.context.make_generator = Painter
    assert run(store, worker, ask()).state == "completed"


def test_one_job_at_a_time_whatever_calls(store: JobStore, make_worker, ask) -> None:
    painter = Painter()
    worker = make_worker(painter)
    for _ in range(8):
        store.submit(ask())
    threads = [threading.Thread(target=lambda: worker.run(store.claim())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert painter.most_active == 1
    # In one thread: torch keeps memory for each that it is called from.
    assert len(painter.threads) == 1 and not painter.threads & {thread.ident for thread in threads}
    assert store.counts()["completed"] == 8


def test_memory_is_freed_between_jobs_and_not_under_one(store: JobStore, make_worker, ask) -> None:
    freed: list[str] = []
    refused: list[str] = []

    def free(image: int, step: int, request) -> None:
        def other() -> None:
            try:
                worker.free()
            except RequestError as error:
                refused.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(PATIENCE)

    painter = Painter(free)
    painter.free = lambda: freed.append("freed")  # type: ignore[method-assign]
    worker = make_worker(painter)
    worker.free()  # nothing was loaded yet
    run(store, worker, ask(steps=1))
    assert (len(refused), freed) == (1, [])
    assert "job is running" in refused[0]
    worker.free()
    assert freed == ["freed"]


def test_a_disk_that_takes_no_writing_does_not_stop_the_shutdown(store: JobStore, make_worker, ask) -> None:
    store.submit(ask())
    store.claim()
    worker = make_worker(Painter())
    store.database.writer.execute("PRAGMA query_only = 1")
    worker.shutdown()
    store.database.writer.execute("PRAGMA query_only = 0")
    assert store.recover() == 1  # as the next start does


def test_shutdown_puts_the_running_job_back_as_interrupted(
    store: JobStore, settings, make_worker, ask
) -> None:
    reached = threading.Event()

    def wait(image: int, step: int, request) -> None:
        if image == 1:
            reached.set()
            worker._stopping.wait(PATIENCE)

    worker = make_worker(Painter(wait))
    job = store.submit(ask(num_images=3))
    thread = threading.Thread(target=lambda: worker.run(store.claim()))
    thread.start()
    assert reached.wait(PATIENCE)
    worker.shutdown()
    after = store.get(job.id)
    assert after.state == "interrupted"
    assert after.status == "Interrupted; 1 of 3 images kept"
    assert "studio was stopped" in (after.error or "")
    thread.join(PATIENCE)
    assert leftovers(settings) == []


def test_a_step_that_never_ends_does_not_hold_up_the_shutdown(store: JobStore, make_worker, ask) -> None:
    reached, release = threading.Event(), threading.Event()

    def hang(image: int, step: int, request) -> None:
        reached.set()
        release.wait(PATIENCE)

    worker = make_worker(Painter(hang))
    job = store.submit(ask())
    thread = threading.Thread(target=lambda: worker.run(store.claim()))
    thread.start()
    assert reached.wait(PATIENCE)
    worker.shutdown(timeout=0.05)
    assert store.get(job.id).state == "interrupted"
    release.set()
    thread.join(PATIENCE)
    assert store.get(job.id).state == "interrupted"  # the late end changes nothing


def test_the_end_is_written_when_the_disk_takes_it_again(
    store: JobStore, make_worker, ask, monkeypatch
) -> None:
    refusals = iter([StorageError("full"), StorageError("full")])
    finish = store.finish

    def sometimes(*arguments):
        for error in refusals:
            raise error
        return finish(*arguments)

    monkeypatch.setattr(store, "finish", sometimes)
    monkeypatch.setattr("webbduck_gradio.jobs.worker.WRITE_AGAIN_SECONDS", 0.01)
    assert run(store, make_worker(Painter()), ask()).state == "completed"


def test_previews_of_a_killed_studio_are_cleaned_up(settings, make_worker) -> None:
    for name in ("0123456789abcdef.jpg", "0123456789abcdef.jpg.part"):
        (settings.previews / name).write_bytes(b"half")
    make_worker(Painter())
    assert list(settings.previews.iterdir()) == []


def test_the_floor_loads_neither_torch_nor_gradio() -> None:
    code = (
        "import sys\n"
        "import webbduck_gradio.jobs.store, webbduck_gradio.jobs.worker, webbduck_gradio.jobs.dispatcher\n"
        "loaded = [m for m in ('torch', 'diffusers', 'transformers', 'gradio') if m in sys.modules]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HOME)
