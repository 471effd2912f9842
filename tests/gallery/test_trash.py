"""Deleting and taking it back."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gallery_helpers import finished_run, picture, request
from PIL import Image
from running import wait_until

from webbduck_gradio.errors import NotFoundError, StorageError
from webbduck_gradio.gallery import trash as trash_module
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage.reserve import Reserve


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
    with pytest.raises(NotFoundError):
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
    assert not (run.path / "meta.json").exists(), "its record is not moved either"


def test_a_selection_is_one_entry_and_all_or_nothing(outputs: Outputs, trash: Trash):
    runs = [finished_run(outputs) for _ in range(3)]
    chosen = [f"{run.id}/0.png" for run in runs]
    with pytest.raises(NotFoundError):
        trash.delete_images([*chosen, "nowhere/0.png"])
    assert len(ids(outputs)) == 3
    entry = trash.delete_images(chosen[:2])
    assert ids(outputs) == chosen[2:]
    assert set(trash.restore(entry.id)) == set(chosen[:2])


WORKER = """
import random, sys
from pathlib import Path
from webbduck_gradio.gallery import trash as trash_module
from webbduck_gradio.gallery.outputs import Outputs
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
    assert trash.entries() == [] and not list((settings.data_dir / "trash").iterdir())
    with pytest.raises(NotFoundError):
        trash.restore(entry.id)


@pytest.mark.parametrize("bad", ["..", "../..", "", ".", "x", None, "a/b", "RUN/../../x"])
def test_unknown_ids(outputs: Outputs, trash: Trash, bad):
    finished_run(outputs)
    for action in (trash.delete_image, trash.delete_run, trash.restore):
        with pytest.raises(NotFoundError):
            action(bad)
    assert len(ids(outputs)) == 1


def test_a_copy_that_is_made_while_a_deletion_comes_back_is_not_replaced(
    outputs: Outputs, trash: Trash, settings: Settings
):
    run = finished_run(outputs, 2)
    outputs.save_upscaled(f"{run.id}/1.png", picture(size=(10, 10)), 2, "Lanczos")
    entry = trash.delete_images([f"{run.id}/0.png", f"{run.id}/1_upscaled.png"])
    new = []
    real = trash._move_all

    def move_all(images, source, target):
        # The restoring has looked and found the names free.
        maker = threading.Thread(
            target=lambda: new.append(
                outputs.save_upscaled(f"{run.id}/1.png", picture(size=(33, 33)), 2, "Lanczos")
            )
        )
        maker.start()
        maker.join(0.2)  # it must wait; without the lock it would be done
        real(images, source, target)
        return maker

    trash._move_all = move_all
    trash.restore(entry.id)
    wait_until(lambda: bool(new))
    sizes = {}
    for path in run.path.glob("1_upscaled*.png"):
        with Image.open(path) as image:
            sizes[path.name] = image.size
    assert sizes == {"1_upscaled.png": (10, 10), new[0].rpartition("/")[2]: (33, 33)}


def test_a_name_that_is_taken_this_moment_undoes_the_restoring(
    outputs: Outputs, trash: Trash, settings: Settings, monkeypatch
):
    run = finished_run(outputs, 3)
    entry = trash.delete_images([f"{run.id}/0.png", f"{run.id}/1.png"])
    real = trash_module.move_to_free_name

    def move(source: Path, target: Path) -> None:
        if target == run.path / "1.png":
            target.write_bytes(b"another program's")
        real(source, target)

    monkeypatch.setattr(trash_module, "move_to_free_name", move)
    with pytest.raises(StorageError, match=r"1\.png cannot be restored because there is another file"):
        trash.restore(entry.id)
    assert (run.path / "1.png").read_bytes() == b"another program's"
    assert not (run.path / "0.png").exists()
    assert trash.entries()[0].images == entry.images


def test_an_entry_without_its_record_still_shows_and_comes_back(outputs, trash, settings):
    run = finished_run(outputs, 2)
    before = tree(settings.outputs)
    entry = trash.delete_run(run.id)
    (settings.data_dir / "trash" / entry.id / "entry.json").write_text('{"images": 5}')
    assert [found.images for found in trash.entries()] == [entry.images]
    assert trash.restore(entry.id) == entry.images
    assert tree(settings.outputs) == before


def test_an_emptying_that_was_killed_is_ended_by_the_next_start(outputs, trash, settings, monkeypatch):
    run = finished_run(outputs, 2)
    trash.delete_run(run.id)
    monkeypatch.setattr(trash_module.shutil, "rmtree", lambda folder, **_: None)  # the end of the process
    assert trash.empty() == 2
    assert trash.entries() == [] and trash.size_bytes() == 0
    monkeypatch.undo()
    assert list(settings.data_dir.glob("trash/.going-*"))
    Trash(settings, outputs)
    assert list((settings.data_dir / "trash").iterdir()) == []


def test_a_full_disk_can_be_emptied(outputs, trash, settings, monkeypatch):
    run = finished_run(outputs, 2)
    reserve = Reserve(settings.data_dir / "reserve")
    assert reserve.create()
    real = trash_module.write_atomically

    def write(path, *more):
        if (settings.data_dir / "reserve").exists():
            raise StorageError("full") from OSError(errno.ENOSPC, "full")
        real(path, *more)

    monkeypatch.setattr(trash_module, "write_atomically", write)
    entry = trash.delete_run(run.id)
    assert len(entry.images) == 2 and not run.path.exists()
    assert trash.empty() == 2


def test_a_deletion_that_the_disk_refuses_leaves_all_where_it_was(outputs, trash, settings, monkeypatch):
    run = finished_run(outputs, 3)
    before = tree(settings.outputs)
    real = trash_module.move_to_free_name

    def move(source: Path, target: Path) -> None:
        if source.name == "2.png":
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(trash_module, "move_to_free_name", move)
    with pytest.raises(StorageError):
        trash.delete_run(run.id)
    assert tree(settings.outputs) == before and trash.entries() == []
    assert list((settings.data_dir / "trash").iterdir()) == []


@pytest.mark.parametrize(
    "entry_id", ["x" * 4000, "..", "../trash", "", "entry\0", None, 5, "20200101-000000-0000000g"]
)
def test_an_id_that_was_never_given_out_is_refused(trash: Trash, entry_id):
    with pytest.raises(NotFoundError):
        trash.restore(entry_id)
