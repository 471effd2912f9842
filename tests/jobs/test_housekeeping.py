"""What is kept small by itself: uploads, thumbnails, input pictures. Finished pictures are never touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from webbduck_gradio.errors import StorageError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.jobs import housekeeping
from webbduck_gradio.jobs.housekeeping import UNUSED_INPUT_SECONDS, UPLOAD_SECONDS, Housekeeping
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage.eviction import GRACE_SECONDS, evict, size_of
from webbduck_gradio.storage.reserve import Reserve

HOUR = 3600.0


@pytest.fixture
def keeper(settings: Settings, store: JobStore) -> Housekeeping:
    return Housekeeping(settings, store, Reserve(settings.data_dir / "reserve"))


def put(path: Path, age: float, size: int = 1000) -> Path:
    """A file of `size` bytes that was written `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return aged(path, age)


def aged(path: Path, age: float) -> Path:
    os.utime(path, (time.time() - age,) * 2)
    return path


def colour(number: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_what_is_too_old_goes_and_its_empty_folder_too(tmp_path: Path) -> None:
    old, new = put(tmp_path / "a" / "old", 2 * HOUR), put(tmp_path / "b" / "new", HOUR - 60)
    assert evict(tmp_path, 10**9, HOUR) == 1000
    assert not old.exists() and not old.parent.exists() and new.exists()


def test_what_is_too_much_goes_the_oldest_first(tmp_path: Path) -> None:
    files = [put(tmp_path / f"{age}" / "file", age * HOUR) for age in (5, 1, 4, 2, 3)]
    assert evict(tmp_path, 2500) == 2000
    assert {path.parent.name for path in files if path.exists()} == {"1", "2"}
    assert evict(tmp_path, 2500) == size_of(tmp_path) == 2000, "what fits stays"


def test_what_is_in_use_stays_whatever_the_bound(tmp_path: Path) -> None:
    young = put(tmp_path / "young", GRACE_SECONDS / 2)
    kept, other = put(tmp_path / "kept", 9 * HOUR), put(tmp_path / "other", 8 * HOUR)
    remain = evict(tmp_path, 0, HOUR, keep=lambda path: path.name == "kept")
    assert young.exists() and kept.exists() and not other.exists()
    assert remain == 1000, "of those that could be removed"


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "file", 9 * HOUR)
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "link").symlink_to(outside.parent)
    evict(folder, 0, HOUR)
    assert outside.exists()


def test_uploads_go_by_age_and_by_size(keeper: Housekeeping, settings: Settings, monkeypatch) -> None:
    stale = put(settings.uploads / "1" / "stale.png", UPLOAD_SECONDS + 60)
    fresh = [put(settings.uploads / f"2{n}" / "fresh.png", HOUR + n) for n in range(4)]
    keeper.clean_up()
    assert not stale.exists() and all(path.exists() for path in fresh)
    monkeypatch.setattr(housekeeping, "MAX_UPLOADS", 2000)
    keeper.clean_up()
    assert [path.exists() for path in fresh] == [True, True, False, False]


def test_an_upload_is_refused_while_what_came_just_now_is_too_much(
    keeper: Housekeeping, settings: Settings, monkeypatch
) -> None:
    keeper.check_upload_space()
    monkeypatch.setattr(housekeeping, "MAX_UPLOADS", 2000)
    files = [put(settings.uploads / f"{n}" / "new.png", 1) for n in range(3)]
    with pytest.raises(StorageError, match="Too many pictures were uploaded at once"):
        keeper.check_upload_space()
    assert all(path.exists() for path in files), "what a client has just sent is not taken away"
    for path in files:
        aged(path, HOUR)
    keeper.check_upload_space()
    assert size_of(settings.uploads) <= 2000


def test_thumbnails_are_bounded_and_made_again(keeper: Housekeeping, settings: Settings, monkeypatch) -> None:
    outputs = Outputs(settings)
    thumbnails = Thumbnails(settings, outputs)
    folder = settings.outputs / "2020-01-01_00-00-00"
    folder.mkdir()
    ids = []
    for number in range(3):
        (folder / f"{number}.png").write_bytes(colour(number))
        aged(folder / f"{number}.png", 9 * HOUR)
        ids.append(f"{folder.name}/{number}.png")
    made = [aged(thumbnails.thumbnail(each), HOUR * (3 - n)) for n, each in enumerate(ids)]
    monkeypatch.setattr(housekeeping, "MAX_THUMBNAILS", made[2].stat().st_size)
    keeper.clean_up()
    assert [path.exists() for path in made] == [False, False, True]
    assert all(outputs.resolve(each).exists() for each in ids), "the pictures themselves stay"
    assert thumbnails.thumbnail(ids[0]) == made[0] and made[0].exists()


def test_compiled_blocks_go_by_size(keeper: Housekeeping, settings: Settings, monkeypatch) -> None:
    made = [put(settings.kernels / f"{hours}" / "block.so", HOUR * hours) for hours in (900, 2, 1)]
    keeper.clean_up()
    assert all(path.exists() for path in made)
    monkeypatch.setattr(housekeeping, "MAX_KERNELS", 2000)
    keeper.clean_up()
    assert [path.exists() for path in made] == [False, True, True]


@pytest.mark.parametrize("bound", ["age", "size"])
def test_inputs_stay_as_long_as_something_refers_to_them(
    keeper: Housekeeping, settings: Settings, store: JobStore, ask: Callable, monkeypatch, bound: str
) -> None:
    inputs, outputs = InputImageStore(settings), Outputs(settings)
    names = [inputs.store(colour(number)) for number in range(4)]
    queued, painted, deleted, unused = names
    store.submit(ask(image=queued))
    for name, image in (("kept", painted), ("deleted", deleted)):
        run = outputs.new_run(ask(image=image), "generate", name)
        run.save(0, Image.new("RGB", (64, 64)), 1)
        run.close("completed")
        if name == "deleted":
            Trash(settings, outputs).delete_run(run.id)
    foreign = put(settings.inputs / "mine.png", 99 * HOUR)
    if bound == "size":
        monkeypatch.setattr(housekeeping, "MAX_UNUSED_INPUTS", 0)
    age = UNUSED_INPUT_SECONDS + 60 if bound == "age" else UNUSED_INPUT_SECONDS / 2
    for name in names:
        aged(settings.inputs / name, age)
    keeper.clean_up()
    assert [(settings.inputs / name).exists() for name in names] == [True, True, True, False]
    assert foreign.exists(), "a file that the studio did not put there is not its own to remove"
    assert unused == names[3]


def test_tidying_leaves_everything_else_of_the_outputs(keeper: Housekeeping, settings: Settings) -> None:
    kept = [
        put(settings.outputs / "2019-01-01_00-00-00" / "0.png", 9999 * HOUR),
        put(settings.outputs / "favorites.json", 9999 * HOUR),
        put(settings.data_dir / "trash" / "entry" / "0.png", 9999 * HOUR),
        put(settings.data_dir / "logs" / "webbduck.log", 9999 * HOUR),
    ]
    keeper.clean_up()
    assert all(path.exists() for path in kept)


def test_inputs_of_another_output_folder_and_of_nobody_known_stay(
    keeper: Housekeeping, settings: Settings, store: JobStore, tmp_path: Path
) -> None:
    other = InputImageStore(replace(settings, outputs=tmp_path / "elsewhere"))
    theirs, shared, mine = (
        other.store(colour(1)),
        other.store(colour(2)),
        InputImageStore(settings).store(colour(3)),
    )
    InputImageStore(settings).store(colour(2))
    unknown = "0" * 64 + ".png"
    put(settings.inputs / unknown, 0)
    for name in (theirs, shared, mine, unknown):
        aged(settings.inputs / name, 99 * UNUSED_INPUT_SECONDS)
    keeper.clean_up()
    keeper.clean_up()
    there = {name for name in (theirs, shared, mine, unknown) if (settings.inputs / name).exists()}
    assert there == {theirs, shared, unknown}


def test_what_a_kill_left_half_made_is_swept_and_nothing_else(
    keeper: Housekeeping, settings: Settings
) -> None:
    private, sdxl = settings.data_dir, settings.checkpoints / "sdxl"
    # The checkpoints of these tests are the project's own folder, in which nothing is put.
    left = [
        settings.inputs / ".tmp" / "x.tmp",
        settings.loras / ".loras.json.abc.tmp",
        private / "room-99999.tmp",
        private / f"{'0' * 32}.tmp",
        private / "tmp" / "y.tmp",
        private / "exports" / "webbduck-000000000000.zip",
        settings.thumbnails / "lora" / "x.tmp",
        private / "trash" / "entry" / "2020-01-02_00-00-00" / f".moving-{'0' * 32}.tmp",
        settings.outputs / "2020-01-02_00-00-00" / f".moving-{'0' * 32}.tmp",
        settings.outputs / "2020-01-01_00-00-00" / "meta.json",
    ]
    stays = [
        settings.loras / "mine.tmp",
        settings.outputs / "holiday" / "meta.json",
        settings.outputs / "2020-01-02_00-00-00" / "meta.json",
        settings.outputs / "2020-01-02_00-00-00" / "0.png",
        private / "trash" / "entry" / "z.tmp",
    ]
    for path in (*left, *stays):
        put(path, 30 * 24 * HOUR)
    young = [put(private / "tmp" / "young.tmp", 60), put(private / "exports" / "young.zip", 60)]
    keeper.clean_up()
    assert [path for path in left if path.exists()] == []
    assert not (settings.outputs / "2020-01-01_00-00-00").exists()
    assert all(path.exists() for path in (*stays, *young))
    assert sdxl.is_dir()


MOVER = """
import errno, os, shutil, sys
from pathlib import Path
from webbduck_gradio.storage.moving import move_to_free_name

def link(source, target, **more):
    if "follow_symlinks" in more:
        raise OSError(errno.EXDEV, "another file system")
    os.kill(os.getpid(), 9)

os.link = link
move_to_free_name(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_kill_while_a_picture_goes_to_another_disk_leaves_the_picture_alone(
    keeper: Housekeeping, settings: Settings
) -> None:
    source = put(settings.outputs / "2020-01-02_00-00-00" / "0.png", 60)
    target = settings.data_dir / "trash" / "entry" / "2020-01-02_00-00-00" / "0.png"
    killed = subprocess.run([sys.executable, "-c", MOVER, str(source), str(target)], check=False)
    assert killed.returncode == -9 and len(list(target.parent.iterdir())) == 1
    keeper.clean_up()
    assert source.exists() and list(target.parent.iterdir()) == []


WRITER = """
import os, sys
from pathlib import Path
from webbduck_gradio.storage.atomic import write_atomically

def last_look():
    print("written", flush=True)
    sys.stdin.read()

write_atomically(Path(sys.argv[1]), lambda file: file.write(b"{}"), Path(sys.argv[1]).parent,
                 prefix=".loras.json.", before_replace=last_look)
"""


def test_what_another_studio_writes_stays_until_that_one_is_gone(
    keeper: Housekeeping, settings: Settings
) -> None:
    target = settings.loras / "loras.json"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stdin is not None
    assert writer.stdout.readline() == "written\n"
    (left,) = settings.loras.glob(".loras.json.*.tmp")
    keeper.clean_up()
    assert left.exists(), "it is being written"
    writer.kill()
    writer.wait()
    writer.stdin.close()
    writer.stdout.close()
    # From a machine whose processes cannot be seen: by its age alone.
    far = put(settings.loras / f".loras.json.{'0' * 12}-1-{'0' * 32}.tmp", 60)
    keeper.clean_up()
    assert not left.exists() and not target.exists()
    assert far.exists()
    aged(far, 2 * HOUR)
    keeper.clean_up()
    assert not far.exists()


def test_a_record_stays_while_its_pictures_can_come_back(keeper: Housekeeping, settings: Settings) -> None:
    name = "2020-01-01_00-00-00"
    record = put(settings.outputs / name / "meta.json", 30 * 24 * HOUR)
    deleted = put(settings.data_dir / "trash" / "entry" / name / "0.png", 0)
    keeper.clean_up()
    assert record.exists()
    deleted.unlink()
    deleted.parent.rmdir()
    keeper.clean_up()
    assert not record.exists()
