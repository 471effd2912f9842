"""The watcher: the index follows the folders, with the system's events and without."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time

import pytest
from gallery_helpers import finished_run, old_run, picture, wait_until

from webbduck_gradio.gallery.index import watcher
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage import file_watching


@pytest.mark.parametrize("blind", [False, True])
def test_followed_in_the_background(settings: Settings, outputs: Outputs, monkeypatch, blind: bool):
    if blind:  # as where Linux's limit of watched folders is reached

        def no_more(*args, **kwargs):
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(file_watching.Observer, "schedule", no_more)
        monkeypatch.setattr(watcher, "SCAN_EVERY_WITHOUT_EVENTS", 0.1)
    old_run(settings, "2025-01-01_10-00-00", prompt="duck")
    outputs.watch()
    try:
        assert wait_until(lambda: outputs.complete and outputs.count() == 1)
        version = outputs.version
        folder = old_run(settings, "2025-01-01_10-00-01", prompt="goose")
        assert wait_until(lambda: outputs.count("goose") == 1 and outputs.version > version)
        picture().save(folder / "1.png")
        assert wait_until(lambda: outputs.count() == 3)
        (folder / "1.png").unlink()
        assert wait_until(lambda: outputs.count() == 2)
        folder.rename(settings.outputs / "renamed")
        assert wait_until(lambda: [run.id for run in outputs.runs(query="goose")] == ["renamed"])
        (settings.outputs / "link").symlink_to(settings.outputs.parent / "elsewhere")
        shutil.rmtree(settings.outputs / "renamed")
        assert wait_until(lambda: outputs.count() == 1)
        deep = old_run(settings, "by/date/2025", images=2, prompt="swan").parent
        assert wait_until(lambda: outputs.count("swan") == 2)
        shutil.move(deep.parent, settings.outputs.parent / "elsewhere")
        assert wait_until(lambda: outputs.count() == 1)
        shutil.move(settings.outputs.parent / "elsewhere", settings.outputs / "back")
        assert wait_until(lambda: {run.id for run in outputs.runs(query="swan")} == {"back/date/2025"})
        shutil.rmtree(settings.outputs / "back")
        assert wait_until(lambda: outputs.count() == 1)
        run = finished_run(outputs)
        assert outputs.runs()[0].id == run.id  # our own are there at once
    finally:
        outputs.close()


DEAF = """
import sys, time
from pathlib import Path
sys.path[:0] = ["tests/gallery"]
from gallery_helpers import finished_run, old_run
from watchdog.observers.inotify_c import InotifyFD
from webbduck_gradio.gallery.index import watcher
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.settings import Settings

def fail(self, event):
    raise KeyError("a folder that moved")

settings = Settings(outputs=Path(sys.argv[1]))
settings.make_folders()
outputs = Outputs(settings)
outputs.watch()
old_run(settings, "one")
end = time.monotonic() + 30
while outputs.count() < 1 and time.monotonic() < end:
    time.sleep(0.02)
InotifyFD.handle_event = fail
watcher.CHECK_EVENTS_EVERY = watcher.SCAN_EVERY_WITHOUT_EVENTS = 0.1
old_run(settings, "two")
while outputs.count() < 2 and time.monotonic() < end:
    time.sleep(0.02)
print(outputs.count())
outputs.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="watchdog's shared reader is Linux's")
def test_followed_also_when_watchdogs_reader_has_died(settings: Settings):
    """In a process of its own: the reader is shared by all observers and does not come back."""
    ran = subprocess.run(
        [sys.executable, "-c", DEAF, str(settings.outputs)], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.strip() == "2", ran.stderr
    assert "no longer arrive" in ran.stderr


def test_nothing_is_redrawn_for_thumbnails_and_records(settings: Settings, outputs: Outputs):
    finished_run(outputs)
    outputs.watch()
    assert wait_until(lambda: outputs.complete)
    time.sleep(0.5)
    version = outputs.version
    (settings.thumbnails / "x.webp").write_bytes(b"x")
    (settings.previews / "x.jpg").write_bytes(b"x")
    (settings.outputs / "notes.txt").write_text("x")
    time.sleep(1)
    assert outputs.version == version
    outputs.close()


def test_reading_while_writing(settings: Settings, outputs: Outputs):
    """Pages are answered while runs are added and removed, and show whole runs only."""
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                for run in outputs.runs(0, 20):
                    assert run.images and all(image.seed is not None for image in run.images)
                outputs.images(0, 20, "duck")
        except BaseException as error:
            errors.append(error)

    outputs.watch()
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    trash = Trash(settings, outputs)
    for number in range(15):
        run = finished_run(outputs, 2, seed=number)
        if number % 3 == 0:
            trash.delete_run(run.id)
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(outputs.runs()) == 10
    outputs.close()
