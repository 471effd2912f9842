"""Ends the process before changes that an operation makes on the disk; then starts the studio anew.

    python crash_points.py FOLDER CHECKPOINTS EVERY OPERATION ...

It ends before the first change and before each EVERY-th after it; with 1, before each. A change is a file
made, renamed, linked or removed, or a statement of SQLite. Prints a line of JSON for each operation:
{"operation", "points", "faults": {sentence: number of points}}. All ends are forks of one process, so that a
point costs a fraction of a second.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from lora_files import make_lora  # noqa: E402
from painter import Painter  # noqa: E402
from PIL import Image  # noqa: E402
from running import STARTER, studio_settings  # noqa: E402

from webbduck_gradio.gallery.export import export  # noqa: E402
from webbduck_gradio.jobs.unfinished import StateSaver  # noqa: E402
from webbduck_gradio.services import Services  # noqa: E402
from webbduck_gradio.settings import Settings  # noqa: E402
from webbduck_gradio.ui.studio.preset_store import PresetStore  # noqa: E402

CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
NEVER = 10**9
THREADS = ("MainThread", "core", "unfinished")


def folders(root: Path, checkpoints: Path) -> Settings:
    if not root.exists():
        return studio_settings(root, checkpoints)
    return Settings(
        checkpoints=root / "checkpoint",
        loras=root / "lora",
        outputs=root / "outputs",
        inputs=root / "inpaint_input",
    )


class Studio:
    """The floors below the page, as the studio starts them; its jobs run in the thread that asks."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.services = Services.start(settings)
        self.services.worker.context.make_generator = Painter
        while not self.services.outputs.complete:
            time.sleep(0.005)

    def submit(self, count: int, steps: int = 1) -> str:
        asked = {"prompt": "a duck", "base_model": STARTER, "width": 64, "height": 64, "seed": 5}
        return self.services.submit({**asked, "num_images": count, "steps": steps}, "generate").id

    def paint(self, count: int) -> None:
        self.submit(count)
        self.run()

    def upscale(self, image: str) -> None:
        self.services.submit({"image": image, "scale": 2, "upscaler": "Lanczos"}, "upscale")
        self.run()

    def run(self) -> None:
        job = self.services.store.claim()
        assert job is not None
        self.services.worker.run(job)

    def pictures(self) -> list[str]:
        return sorted(f"{path.parent.name}/{path.name}" for path in self.settings.outputs.glob("*/*.png"))

    def runs(self) -> list[str]:
        return sorted({each.partition("/")[0] for each in self.pictures()})

    def keep(self, colour: str) -> str:
        file = io.BytesIO()
        Image.new("RGB", (70, 70), colour).save(file, "PNG")
        return self.services.inputs.store(file.getvalue())


def prepare(settings: Settings) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    studio = Studio(settings)
    for count in (3, 2):
        studio.paint(count)
    studio.upscale(studio.pictures()[0])
    studio.services.outputs.favourite(studio.pictures()[1])
    PresetStore(settings.data_dir / "shelf.json").keep_preset("old", {"steps": 1})
    studio.keep("red")
    leave_old_files(studio)


def leave_old_files(studio: Studio) -> None:
    """What the housekeeping removes: an upload, a zip file, an input image that nothing names."""
    upload = studio.settings.uploads / "0123" / "0.png"
    archive = studio.settings.data_dir / "exports" / "webbduck-0123456789ab.zip"
    for path in (upload, archive):
        path.parent.mkdir(parents=True)
        path.touch()
    for path in (upload, archive, studio.settings.inputs / studio.keep("green")):
        os.utime(path, (1, 1))


def upscale_an_input(studio: Studio) -> None:
    studio.upscale(next(studio.settings.inputs.glob("*.png")).name)


def delete_and_restore(studio: Studio) -> None:
    entry = studio.services.trash.delete_run(studio.runs()[-1])
    studio.services.trash.restore(entry.id)


def delete_piece_by_piece(studio: Studio) -> None:
    run = studio.runs()[0]
    for image in [each for each in studio.pictures() if each.startswith(run)]:
        studio.services.trash.delete_image(image)


def empty(studio: Studio) -> None:
    studio.services.trash.delete_run(studio.runs()[-1])
    (studio.settings.outputs.parent / "emptying").touch()
    studio.services.trash.empty()


def export_twice(studio: Studio) -> None:
    for pictures in (studio.pictures(), studio.pictures()[:1]):
        export(studio.services.outputs, studio.settings, pictures)


def put_aside_and_go_on(studio: Studio) -> None:
    store = studio.services.store

    def suspend(image: int, step: int, _request: Any) -> None:
        if (image, step) == (1, 2):
            store.suspend(job_id)

    StateSaver.first_seconds = StateSaver.seconds_between = 0.0
    studio.services.worker.context.make_generator = lambda: Painter(suspend)
    job_id = studio.submit(2, steps=3)
    studio.run()
    store.continue_job(job_id)
    studio.run()


def steer(studio: Studio) -> None:
    store = studio.services.store
    request = store.recent(9)[-1].request
    first, second = (store.submit(request) for _ in range(2))
    store.move(second.id, "top")
    store.cancel(first.id)
    store.retry(first.id)
    store.pause()
    store.resume()
    store.clear_queued()


OPERATIONS: dict[str, Callable[[Studio], object]] = {
    "paint": lambda studio: studio.paint(2),
    "put aside and go on": put_aside_and_go_on,
    "upscale": lambda studio: studio.upscale(studio.pictures()[-1]),
    "upscale an input": upscale_an_input,
    "delete two": lambda studio: studio.services.trash.delete_images(studio.pictures()[:2]),
    "delete and restore": delete_and_restore,
    "delete piece by piece": delete_piece_by_piece,
    "empty": empty,
    "favourite": lambda studio: studio.services.outputs.favourite(*studio.pictures()[:3]),
    "preset": lambda studio: PresetStore(studio.settings.data_dir / "shelf.json").keep_preset(
        "new", {"steps": 2}
    ),
    "edit a LoRA": lambda studio: studio.services.registry.edit_lora("ink", {"trigger": "new words"}),
    "edit a checkpoint": lambda studio: studio.services.registry.edit_checkpoint(STARTER, {"steps": 7}),
    "keep an input": lambda studio: studio.keep("blue"),
    "export": export_twice,
    "thumbnails": lambda studio: [studio.services.thumbnails.thumbnail(each) for each in studio.pictures()],
    "steer": steer,
    "tidy": lambda studio: studio.services.housekeeping.clean_up(),
}


class Countdown:
    """Ends the process without a word before the change number `last` of the threads that count."""

    def __init__(self, last: int):
        self.last, self.seen, self.armed = last, 0, False
        sys.addaudithook(self._audit)
        self._connect = sqlite3.connect
        sqlite3.connect = self._traced  # type: ignore[assignment]

    def _traced(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = self._connect(*arguments, **options)
        connection.set_trace_callback(self._statement)
        return connection

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        makes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if makes or event in CHANGES:
            self._change()

    def _statement(self, statement: str) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "--")):
            self._change()

    def _change(self) -> None:
        # What the background looks at by itself comes when it likes.
        if self.armed and threading.current_thread().name.partition("_")[0] in THREADS:
            self.seen += 1
            if self.seen == self.last:
                os._exit(9)


def perform(settings: Settings, operation: str, last: int) -> int:
    """Number of changes that the operation made before its end, in this process."""
    countdown = Countdown(last)
    studio = Studio(settings)
    countdown.armed = True
    OPERATIONS[operation](studio)
    countdown.armed = False
    return countdown.seen


def faults(settings: Settings, before: set[str]) -> list[str]:
    """What is not as it should be once the studio was started again, one sentence each."""
    studio = Studio(settings)
    trash, private = studio.services.trash, settings.data_dir
    found = []
    here = set(studio.pictures())
    named = [image for entry in trash.entries() for image in entry.images]
    inside = ["/".join(path.parts[-2:]) for path in private.glob("trash/**/*.png")]
    emptied = (settings.outputs.parent / "emptying").exists()
    if before - here - set(named) and not emptied:
        found.append("a picture is lost")
    if sorted(named) != sorted(inside) or here & set(named):
        found.append("the trash holds another thing than its entries say")
    listed = studio.services.outputs.images(0, 1000)
    if {each.id for each in listed} | {copy for each in listed for copy in each.variants} != here:
        found.append("the index differs from the disk")
    if any(path.is_file() for path in settings.outputs.parent.rglob("*.tmp")):
        found.append("a temporary file stays")
    runs = [path for path in settings.outputs.iterdir() if path.name[0] != "." and path.is_dir()]
    if any(not list(path.glob("*.png")) for path in runs):
        found.append("a run without a picture stays")
    store = studio.services.store
    jobs = [*store.queued(), *store.suspended(), *store.recent(1000)]
    of_jobs = {image for job in jobs for image in job.images}
    if of_jobs - here - set(named) and not emptied:
        found.append("a job names a picture that is not there")
    if here - of_jobs:
        found.append("a picture is known to no job")
    if store.running():
        found.append("a job runs for ever")
    found += [] if all_go_on(studio) else ["a job does not go on"]
    for entry in trash.entries():
        trash.restore(entry.id)
    runs = [path for path in settings.outputs.iterdir() if path.name[0] != "." and path.is_dir()]
    # Killed between its first picture and its record a run has none; the picture holds the same.
    unfinished = {job.run for job in jobs if job.state != "completed" or job.kind == "upscale"}
    if any(not (path / "meta.json").is_file() and path.name not in unfinished for path in runs):
        found.append("a record did not come back with its pictures")
    for path in [*settings.outputs.glob("**/*.json"), *settings.loras.glob("*.json")]:
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(f"{path.name} is no JSON")
    for image in studio.pictures():
        Image.open(settings.outputs / image).load()
    return found


def all_go_on(studio: Studio) -> bool:
    """Whether each job that was put aside or can go on ends with all its pictures, and no state stays."""
    store = studio.services.store
    for job in [*store.queued(), *store.suspended(), *store.recent(1000)]:
        if job.can_continue:
            store.continue_job(job.id)
        elif job.state != "queued" or not job.continued:
            continue
        studio.run()
        job = store.get(job.id)
        if (job.state, len(job.images)) != ("completed", job.images_asked):
            return False
    return not store.unfinished.ids()


def in_a_fork(work: Callable[[], Any]) -> tuple[int, Any]:
    """Exit code and answer of a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        code = 0
        try:
            answer = work()
        except BaseException:
            code, answer = 1, traceback.format_exc()
        with os.fdopen(writer, "w") as file:
            json.dump(answer, file)
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(text) if text else None


def main() -> None:
    logging.disable()
    folder, checkpoints, every, names = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    base, copy = folder / "base", folder / "copy"
    # In a fork as well: this process must have no threads.
    code, answer = in_a_fork(lambda: prepare(folders(copy, checkpoints)))
    assert code == 0, answer
    # At the place where it was made, so that what is remembered of its models holds.
    shutil.copytree(copy, base, symlinks=True)
    before = {f"{path.parent.name}/{path.name}" for path in (base / "outputs").glob("*/*.png")}

    def attempt(name: str, last: int) -> tuple[int, Any]:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(base, copy, symlinks=True)
        settings = folders(copy, checkpoints)
        return in_a_fork(lambda: perform(settings, name, last))

    for name in names:
        code, points = attempt(name, NEVER)
        assert code == 0, points
        found: Counter[str] = Counter()
        for last in range(1, points + 1, every):
            code, answer = attempt(name, last)
            assert code in (0, 9), answer
            code, answer = in_a_fork(lambda: faults(folders(copy, checkpoints), before))
            found.update(answer if code == 0 else [f"the start failed: {answer.splitlines()[-1]}"])
        print(json.dumps({"operation": name, "points": points, "faults": found}), flush=True)


if __name__ == "__main__":
    main()
