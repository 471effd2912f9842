"""Deleting and taking it back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gallery_helpers import finished_run, picture, request

from webbduck_gradio.errors import StorageError, UnknownName
from webbduck_gradio.gallery.storage import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings


@pytest.fixture
def trash(settings: Settings, outputs: Outputs) -> Trash:
    return Trash(settings, outputs)


def ids(outputs: Outputs) -> list[str]:
    return [image.id for run in outputs.runs() for image in run.images]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".webbduck" not in path.parts
    }


def test_an_image_goes_and_comes_back_as_it_was(outputs: Outputs, trash: Trash, settings: Settings):
    run = finished_run(outputs, 3)
    before, version = tree(settings.outputs), outputs.version
    entry = trash.delete_image(f"{run.id}/1.png")
    assert ids(outputs) == [f"{run.id}/0.png", f"{run.id}/2.png"]
    assert outputs.version > version
    with pytest.raises(UnknownName):
        outputs.resolve(f"{run.id}/1.png")
    assert [found.images for found in trash.entries()] == [(f"{run.id}/1.png",)]
    assert trash.path(entry.id, f"{run.id}/1.png").is_file()
    assert trash.restore(entry.id) == (f"{run.id}/1.png",)
    assert tree(settings.outputs) == before and trash.entries() == []


def test_a_run_goes_with_its_upscaled_pictures(outputs: Outputs, trash: Trash, settings: Settings):
    run = finished_run(outputs, 2)
    picture(size=(128, 128)).save(run.path / "0_upscaled.png")
    before = tree(settings.outputs)
    entry = trash.delete_run(run.id)
    assert ids(outputs) == [] and not run.path.exists()
    assert len(trash.restore(entry.id)) == 3
    assert tree(settings.outputs) == before


def test_files_of_the_user_stay(outputs: Outputs, trash: Trash):
    run = finished_run(outputs)
    (run.path / "notes.txt").write_text("mine")
    trash.delete_run(run.id)
    assert (run.path / "notes.txt").read_text() == "mine"
    assert (run.path / "meta.json").is_file()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_by_one_and_back_in_any_order(outputs: Outputs, trash: Trash, settings: Settings, order):
    run = finished_run(outputs, 2)
    before = tree(settings.outputs)
    entries = [trash.delete_image(f"{run.id}/{index}.png") for index in range(2)]
    assert not run.path.exists()
    for index in order:
        trash.restore(entries[index].id)
    assert tree(settings.outputs) == before


def test_a_run_deleted_while_it_is_made(outputs: Outputs, trash: Trash):
    asked = request(num_images=2)
    run = outputs.new_run(asked, "generate", "job")
    run.save(0, picture(), 7)
    entry = trash.delete_run(run.id)
    run.save(1, picture(), 8)
    run.close("completed")
    assert ids(outputs) == [f"{run.id}/1.png"]
    trash.restore(entry.id)
    assert ids(outputs) == [f"{run.id}/0.png", f"{run.id}/1.png"]
    assert json.loads((run.path / "meta.json").read_text())["seeds"] == [7, 8]


def test_nothing_is_replaced_by_restoring(outputs: Outputs, trash: Trash):
    run = finished_run(outputs, 2)
    entry = trash.delete_run(run.id)
    run.path.mkdir()
    picture("blue").save(run.path / "1.png")
    before = (run.path / "1.png").read_bytes()
    with pytest.raises(StorageError, match=r"1\.png cannot be restored"):
        trash.restore(entry.id)
    assert (run.path / "1.png").read_bytes() == before
    assert ids(outputs) == [f"{run.id}/1.png"] and len(trash.entries()) == 1


def test_a_selection_is_one_entry_and_all_or_nothing(outputs: Outputs, trash: Trash):
    runs = [finished_run(outputs) for _ in range(3)]
    chosen = [f"{run.id}/0.png" for run in runs]
    with pytest.raises(UnknownName):
        trash.delete_images([*chosen, "nowhere/0.png"])
    assert len(ids(outputs)) == 3
    entry = trash.delete_images(chosen[:2])
    assert ids(outputs) == chosen[2:]
    assert set(trash.restore(entry.id)) == set(chosen[:2])


WORKER = """
import random, sys
from pathlib import Path
from webbduck_gradio.gallery.storage import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings
settings = Settings(outputs=Path(sys.argv[1]))
outputs = Outputs(settings)
trash = Trash(settings, outputs)
chance = random.Random(int(sys.argv[2]))
print("ready", flush=True)
while True:
    for run in outputs.runs():
        if chance.random() < 0.5:
            trash.delete_run(run.id)
        else:
            trash.delete_image(run.images[0].id)
    for entry in trash.entries():
        trash.restore(entry.id)
"""


def test_kill_loses_no_picture(outputs: Outputs, trash: Trash, settings: Settings):
    """Killed at any moment of deleting and restoring, each picture is in its place or can be restored."""
    for seed in range(4):
        finished_run(outputs, 3, seed=seed)
    before = tree(settings.outputs)
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(settings.outputs), str(attempt)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1 + 0.037 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    for entry in trash.entries():
        trash.restore(entry.id)
    assert tree(settings.outputs) == before
    assert len(ids(outputs)) == 12


def test_emptied_for_good(outputs: Outputs, trash: Trash, settings: Settings):
    run = finished_run(outputs, 2)
    entry = trash.delete_run(run.id)
    assert trash.empty() == 2
    assert trash.entries() == [] and not list((settings.private / "trash").iterdir())
    with pytest.raises(UnknownName):
        trash.restore(entry.id)


@pytest.mark.parametrize("bad", ["..", "../..", "", ".", "x", None, "a/b", "RUN/../../x"])
def test_unknown_ids(outputs: Outputs, trash: Trash, bad):
    finished_run(outputs)
    for action in (trash.delete_image, trash.delete_run, trash.restore):
        with pytest.raises(UnknownName):
            action(bad)
    assert len(ids(outputs)) == 1
