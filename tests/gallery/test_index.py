"""The index: what is found, in which order, and that it follows what happens on disk."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gallery_helpers import finished_run, old_run, picture, request, wait_until
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from webbduck_gradio.errors import NotFoundError, RequestError, StorageError
from webbduck_gradio.gallery import run_layout as runs_module
from webbduck_gradio.gallery.index import folders, rows, search
from webbduck_gradio.gallery.index import image_facts as about_module
from webbduck_gradio.gallery.index import index as index_module
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings


@pytest.fixture
def filled(settings: Settings) -> Outputs:
    """Six runs, oldest first a to f."""
    make = [
        (
            "2025-01-01_10-00-00",
            {"prompt": "a red duck on a pond", "base_model": "webbduck-starter", "seed": 1},
        ),
        (
            "2025-02-01_10-00-00",
            {"prompt": "a red goose", "negative_prompt": "duck", "base_model": "sd_xl-base_1.0"},
        ),
        ("2025-02-03_10-00-00", {"prompt": "Enten mit Hüten", "loras": [{"name": "party-hat"}], "seed": 42}),
        (
            "2025-03-01_10-00-00",
            {"prompt": "日本の赤い鴨 🦆", "width": 832, "height": 1216, "seed": 4294967295},
        ),
        ("2025-03-01_10-00-00-2", {"prompt": 'duck: "the quoted", the duck', "scheduler": "DPM++ 2M Karras"}),
        ("2025-03-01_10-00-00-10", {"prompt": "ducks, red AND (blue OR NEAR*", "loras": ["old-style"]}),
    ]
    for name, meta in make:
        old_run(settings, name, **meta)
    return Outputs(settings)


NAMES = "abcdef"


def found(outputs: Outputs, query: str) -> str:
    """Letters of the runs that are found, in order; the flat list and the count must agree."""
    order = sorted((path.name for path in outputs.root.glob("2025*")), key=runs_module.name_order)
    letters = "".join(NAMES[order.index(run.id)] for run in outputs.runs(query=query))
    flat = "".join(NAMES[order.index(image.id.split("/")[0])] for image in outputs.images(query=query))
    assert letters == flat and outputs.count(query) == len(letters)
    return letters


@pytest.mark.parametrize(
    ("query", "letters"),
    [
        ("", "fedcba"),
        ("duck", "feba"),
        ("DUCK red", "fba"),
        ("prompt:duck", "fea"),
        ("negative:duck", "b"),
        ("duck -negative:duck", "fea"),
        ("-duck", "dc"),
        ('"red duck"', "a"),
        ('"duck red"', ""),
        ("du", ""),  # beginnings count from three letters on
        ("goos", "b"),
        ("hut", "c"),
        ("hüten", "c"),
        ("HUTEN", "c"),
        ("鴨", "d"),
        ("日本", "d"),
        ("本日", ""),
        ("🦆", "d"),
        ("model:starter", "a"),
        ("checkpoint:sd_xl-base", "b"),
        ("lora:party-hat", "c"),
        ("lora:old", "f"),
        ("lora:duck", ""),
        ("seed:42", "c"),
        ("seed:4", ""),
        ("seed:4294967295", "d"),
        ("size:832x1216", "d"),
        ("size:832×1216", "d"),
        ("size:832", "d"),
        ("sampler:dpm++", "e"),
        ('sampler:"dpm++ 2m"', "e"),
        ("date:2025", "fedcba"),
        ("date:2025-02", "cb"),
        ("date:2025-02-01", "b"),
        ("date:>2025-02-01", "fedc"),
        ("date:>=2025-02-01", "fedcb"),
        ("date:<2025-02", "a"),
        ("date:<=2025-02", "cba"),
        ("date:2025-01..2025-02", "cba"),
        ("date:2025-02.. date:<2025-03 red", "b"),
        ("date:today", ""),
        ("date:1980..1990", ""),
        ("duck: date:", "feba"),
        ("!!! ... ---", "fedcba"),
        ('AND OR NOT NEAR( "', ""),
        ("red AND blue OR", "f"),
        ("*", "fedcba"),
        ("nothing-like-this", ""),
        ("tool:webbduck", "fedcba"),
        ("name:2025-03-01_10", "fed"),
    ],
)
def test_searching(filled: Outputs, query: str, letters: str):
    assert found(filled, query) == letters


@pytest.mark.parametrize("query", ["date:2025-13", "date:2025-02-30", "date:soon", "date:0000", "date:99999"])
def test_a_date_that_is_none_is_named(filled: Outputs, query: str):
    with pytest.raises(RequestError, match="date: takes a day, month or year"):
        filled.runs(query=query)


@given(st.text(max_size=60) | st.text('"-:()*^+{} NOTANDab', max_size=30))
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_is_typed_is_answered(tmp_path_factory: pytest.TempPathFactory, query: str):
    outputs = _shared(tmp_path_factory)
    try:
        answer = outputs.runs(query=query)
    except RequestError as error:
        assert "date:" in query.lower() or "words" in str(error)
    else:
        assert len(answer) <= 1


_outputs: list[Outputs] = []


def _shared(factory: pytest.TempPathFactory) -> Outputs:
    if not _outputs:
        settings = Settings(outputs=factory.mktemp("shared"), inputs=factory.mktemp("in"))
        settings.data_dir.mkdir()
        old_run(settings, "2025-01-01_10-00-00", prompt="a red duck")
        _outputs.append(Outputs(settings))
    return _outputs[0]


@pytest.mark.parametrize(
    "text", ["a red duck", 'it\'s "quoted", (weighted:1.2) and <lora:x:1>', "日本の鴨が泳ぐ", "Ünïcödé"]
)
def test_every_word_of_a_prompt_finds_it(outputs: Outputs, text: str):
    run = finished_run(outputs, prompt=text)
    finished_run(outputs, prompt="something else")
    for word in [*text.split(), f'"{text}"']:
        if any(letter.isalnum() for letter in word) and word not in ("a", "and"):
            assert [hit.id for hit in outputs.runs(query=word)] == [run.id], word


def test_our_own_runs_tell_all(outputs: Outputs):
    finished_run(outputs)
    file = "a" * 64 + ".png"
    asked = {"width": 832, "height": 1216, "image": file, "mask": file, "second_pass_model": "refiner-x"}
    run = finished_run(outputs, 3, seed=100, loras=[{"name": "hat"}], **asked)
    for query in ("seed:102", "is:inpaint", "kind:generate is:twopass", "model:refiner-x", "lora:hat"):
        assert run.id in [hit.id for hit in outputs.runs(query=query)], query
    (hit,) = outputs.runs(query="seed:101")
    assert [image.id for image in hit.images] == [f"{run.id}/1.png"] and hit.total == 3
    assert (hit.images[0].seed, hit.images[0].width) == (101, 64)


def test_pages_join_without_gap_or_repetition(settings: Settings, outputs: Outputs):
    for number in range(23):
        old_run(settings, f"2025-01-01_10-00-{number:02}", images=3, prompt="duck", seed=number)
    for query in ("", "duck"):
        runs = [run.id for start in range(0, 30, 5) for run in outputs.runs(start, 5, query)]
        assert runs == [f"2025-01-01_10-00-{number:02}" for number in range(22, -1, -1)]
        assert [run.id for run in outputs.runs(0, 50, query, order="oldest")] == runs[::-1]
        images = [image.id for start in range(0, 80, 7) for image in outputs.images(start, 7, query)]
        assert len(images) == len(set(images)) == 69
        backwards = [image.id for image in outputs.images(0, 100, query, order="oldest")]
        assert backwards == images[::-1]


def test_one_run(settings: Settings, outputs: Outputs):
    old_run(settings, "2025-01-01_10-00-00", images=3, prompt="duck")
    run = outputs.run("2025-01-01_10-00-00")
    assert run == outputs.runs()[0] and run.total == 3
    for unknown in ("2025-01-01_10-00-01", "..", "", None, "../outputs/2025-01-01_10-00-00"):
        with pytest.raises(NotFoundError):
            outputs.run(unknown)


def test_upscaled_copies_are_with_their_originals(settings: Settings, outputs: Outputs):
    folder = old_run(settings, "2025-01-01_10-00-00", images=11, prompt="duck")
    for name in ("1_upscaled.png", "1_upscaled-2.png", "10_upscaled.png", "77_upscaled.png"):
        picture().save(folder / name)
    (run,) = outputs.runs(query="duck")
    by_name = {image.id.split("/")[1]: image for image in run.images}
    assert (
        len(by_name) == 12 == run.total == outputs.count("duck")
    )  # 77 has no original: it stands for itself
    assert [id.split("/")[1] for id in by_name["1.png"].variants] == ["1_upscaled.png", "1_upscaled-2.png"]
    assert [hit.id for hit in outputs.images(query="is:upscaled")] == [
        f"{run.id}/10.png", f"{run.id}/1.png"]  # fmt: skip
    (folder / "1.png").unlink()
    assert outputs.runs()[0].total == 13  # both copies stand for themselves now


def test_pictures_by_hand_and_in_folders(settings: Settings, outputs: Outputs):
    for place in ("", "txt2img/2024-01-01", "deep/er/still"):
        (settings.outputs / place).mkdir(parents=True, exist_ok=True)
        picture().save(settings.outputs / place / "my duck (1).png")
    picture().save(settings.outputs / "photo.JPG")
    picture().save(settings.outputs / ".hidden.png")
    (settings.outputs / ".git").mkdir()
    picture().save(settings.outputs / ".git" / "x.png")
    ids = {image.id for image in outputs.images()}
    assert ids == {"my duck (1).png", "photo.JPG", "txt2img/2024-01-01/my duck (1).png",
                   "deep/er/still/my duck (1).png"}  # fmt: skip
    for id in ids:
        assert outputs.resolve(id).is_file()
    assert {run.id for run in outputs.runs(query="duck")} == {"", "txt2img/2024-01-01", "deep/er/still"}


def test_a_folder_of_thousands_is_not_shown_whole(settings: Settings, outputs: Outputs, monkeypatch):
    monkeypatch.setattr(index_module, "MAX_SHOWN", 5)
    monkeypatch.setattr(rows, "MAX_SHOWN", 5)
    old_run(settings, "many", images=12)
    (run,) = outputs.runs()
    assert len(run.images) == 5 and run.total == 12 == outputs.count()
    assert len(outputs.images()) == 12


def test_pictures_of_the_same_moment_all_have_a_place(settings: Settings, outputs: Outputs, monkeypatch):
    monkeypatch.setattr(index_module, "PER_MILLISECOND", 4)
    folder = old_run(settings, "unpacked", images=11)
    for path in folder.iterdir():
        os.utime(path, (1.7e9, 1.7e9))
    assert outputs.count() == 11


def test_favourites(settings: Settings, outputs: Outputs):
    run = finished_run(outputs, 2)
    (settings.outputs / "favorites.json").write_text('{"outputs/gone/0.png": true, "other": {"kept": 1}}')
    outputs.favourite(f"{run.id}/1.png")
    assert [image.id for image in outputs.images(query="is:favourite duck")] == [f"{run.id}/1.png"]
    assert [image.favourite for image in outputs.runs()[0].images] == [False, True]
    kept = json.loads((settings.outputs / "favorites.json").read_text())
    assert kept == {"outputs/gone/0.png": True, "other": {"kept": 1}, f"outputs/{run.id}/1.png": True}
    _lose_index(outputs)
    again = Outputs(settings)
    assert [image.id for image in again.images(query="is:fav")] == [f"{run.id}/1.png"]
    again.favourite(f"{run.id}/1.png", favourite=False)
    assert again.images(query="is:favourite") == []
    trash = Trash(settings, again)
    again.favourite(f"{run.id}/0.png")
    trash.restore(trash.delete_image(f"{run.id}/0.png").id)
    assert [image.id for image in again.images(query="is:favourite")] == [f"{run.id}/0.png"]


def _lose_index(outputs: Outputs) -> None:
    outputs.close()
    for path in outputs.data_dir.glob("gallery.sqlite3*"):
        path.unlink()


@pytest.mark.parametrize("damage", ["gone", "garbage", "empty", "half", "other version", "not ours"])
def test_a_lost_or_damaged_index_is_built_again(settings: Settings, damage: str):
    outputs = Outputs(settings)
    for number in range(40):
        old_run(settings, f"2025-01-01_10-00-{number:02}", prompt=f"duck {number}")
    assert outputs.count("duck") == 40
    database = settings.data_dir / "gallery.sqlite3"
    outputs.close()
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if damage == "other version":
            db.execute("PRAGMA user_version = 99")
    db.close()
    if damage == "gone":
        database.unlink()
    elif damage == "garbage":
        database.write_bytes(b"garbage" * 1000)
    elif damage == "empty":
        database.write_bytes(b"")
    elif damage == "half":
        content = database.read_bytes()
        database.write_bytes(content[: len(content) // 2])
    elif damage == "not ours":
        database.unlink()
        with sqlite3.connect(database) as db:
            db.execute("CREATE TABLE images (something)")
        db.close()
    again = Outputs(settings)
    counts = []
    for _ in range(3):  # damage inside is met only while reading; then the next look finds all again
        try:
            counts.append(again.count("duck"))
        except StorageError as error:
            assert "gallery's index" in str(error)
    assert counts[-1] == 40 and len(again.runs(limit=100)) == 40
    again.close()


def test_damage_while_it_runs(settings: Settings, outputs: Outputs):
    for number in range(30):
        old_run(settings, f"2025-01-01_10-00-{number:02}", prompt="duck " * 500)
    assert outputs.count("duck") == 30
    with sqlite3.connect(settings.data_dir / "gallery.sqlite3") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with (settings.data_dir / "gallery.sqlite3").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(200_000))
    counts = []
    for _ in range(4):
        try:
            counts.append(Outputs(settings).count("duck"))
        except StorageError:
            counts.append(0)
    assert counts[-1] == 30


def test_a_record_edited_by_hand_is_read_again(settings: Settings, outputs: Outputs):
    folder = old_run(settings, "2025-01-01_10-00-00", prompt="a duck")
    past = time.time() - 100
    for path in (folder / "0.png", folder / "meta.json", folder):
        os.utime(path, (past, past))
    assert outputs.count("duck") == 1
    (folder / "meta.json").write_text(json.dumps({"prompt": "a goose"}))
    assert (outputs.count("duck"), outputs.count("goose")) == (0, 1)


def test_renamed_and_removed_runs(settings: Settings, outputs: Outputs):
    for number in range(3):
        old_run(settings, f"2025-01-01_10-00-0{number}", prompt="duck")
    assert outputs.count() == 3
    (settings.outputs / "2025-01-01_10-00-00").rename(settings.outputs / "renamed")
    shutil.rmtree(settings.outputs / "2025-01-01_10-00-01")
    assert {run.id for run in outputs.runs()} == {"renamed", "2025-01-01_10-00-02"}
    assert outputs.count("duck") == 2


def test_folders_that_vanish_while_they_are_read(settings: Settings, outputs: Outputs, monkeypatch):
    for number in range(3):
        old_run(settings, f"2025-01-01_10-00-0{number}", prompt="duck")
    original = runs_module.read_folder

    def vanish(root: Path, run: str):
        if run.endswith("1"):
            shutil.rmtree(root / run)
        return original(root, run)

    monkeypatch.setattr(runs_module, "read_folder", vanish)
    assert outputs.count("duck") == 2


def test_a_picture_that_vanishes_while_its_folder_is_listed(
    settings: Settings, outputs: Outputs, monkeypatch
):
    folder = old_run(settings, "2025-01-01_10-00-00", images=3, prompt="duck")
    original = os.scandir

    def vanish(path):
        entries = list(original(path))
        if Path(path) == folder and (folder / "1.png").exists():
            for entry in entries:
                entry.is_file(follow_symlinks=False)
            (folder / "1.png").unlink()
        return iter(entries)

    monkeypatch.setattr(runs_module.os, "scandir", vanish)
    found = runs_module.read_folder(settings.outputs, folder.name)
    assert found is not None and list(found.files) == ["0.png", "2.png"]


def test_a_large_folder_is_read_in_parts(settings: Settings, outputs: Outputs, monkeypatch):
    monkeypatch.setattr(index_module, "BATCH", 4)
    old_run(settings, "a", images=11)
    for number in range(9):
        old_run(settings, f"b/{number}", images=3)
    assert outputs.count() == 38
    (settings.outputs / "a" / "5.png").unlink()
    picture().save(settings.outputs / "a" / "new.png")
    assert outputs.count() == 38
    assert {image.id for image in outputs.images(query="name:a")} == {
        *(f"a/{number}.png" for number in range(11) if number != 5), "a/new.png"}  # fmt: skip


def test_a_folder_that_changes_while_it_is_read(settings: Settings, outputs: Outputs, monkeypatch):
    folder = old_run(settings, "other", images=3)
    original, more = about_module.read, iter(range(10, 13))

    def read(path: Path, meta, name: str):
        for number in more:
            picture().save(folder / f"{number}.png")
            break
        return original(path, meta, name)

    monkeypatch.setattr(about_module, "read", read)
    assert outputs.count() == 6


def test_saving_does_not_wait_for_another_programs_pictures(
    settings: Settings, outputs: Outputs, monkeypatch
):
    reading, go_on = threading.Event(), threading.Event()
    original = about_module.read

    def slow(path: Path, meta, name: str):
        if path.parent.name == "other":
            reading.set()
            assert go_on.wait(30)
        return original(path, meta, name)

    monkeypatch.setattr(about_module, "read", slow)
    old_run(settings, "other", images=3)
    outputs.watch()
    assert reading.wait(30)
    run = finished_run(outputs)  # would hang here
    assert [hit.id for hit in outputs.runs()] == [run.id]
    go_on.set()
    assert wait_until(lambda: outputs.count() == 4)
    outputs.close()


def test_a_copy_that_comes_later_marks_its_original(settings: Settings, outputs: Outputs):
    folder = old_run(settings, "other", images=2)
    assert outputs.count("is:upscaled") == 0
    picture().save(folder / "1_upscaled.png")
    assert [image.id for image in outputs.images(query="is:upscaled")] == ["other/1.png"]
    (folder / "1_upscaled.png").unlink()
    assert outputs.count("is:upscaled") == 0 and outputs.count() == 2


def test_text_and_names_that_are_no_unicode(settings: Settings, outputs: Outputs):
    folder = old_run(settings, "2025-01-01_10-00-00")
    (folder / "meta.json").write_text(
        '{"prompt": "a \\ud800 duck \\u0000 here", "seed": 99999999999999999999999}'
    )
    (folder / "1.png").write_bytes((folder / "0.png").read_bytes())
    os.rename(os.fsencode(folder / "1.png"), os.fsencode(folder) + b"/\xff\xfe.png")
    os.mkdir(os.fsencode(settings.outputs) + b"/\xff")
    shutil.copy(folder / "0.png", os.fsencode(settings.outputs) + b"/\xff/0.png")
    assert [image.id for image in outputs.images(query="duck here")] == ["2025-01-01_10-00-00/0.png"]
    assert outputs.count("\ud800 duck") == outputs.count() == 1


def test_threads_that_come_and_go_leave_no_files_open(outputs: Outputs):
    finished_run(outputs)
    outputs.watch()
    assert wait_until(lambda: outputs.complete)

    def read_in_threads(count: int) -> int:
        for _ in range(count):
            thread = threading.Thread(target=outputs.runs)
            thread.start()
            thread.join()
        return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0

    assert read_in_threads(40) <= read_in_threads(5)
    outputs.close()


def test_too_many_words_are_refused():
    with pytest.raises(RequestError, match="at most 32"):
        search.parse("duck " * 33)


def test_two_prompts_are_both_searched(outputs: Outputs):
    run = finished_run(outputs, prompt="a duck", prompt_2="watercolor")
    assert [hit.id for hit in outputs.runs(query="watercolor")] == [run.id]
    assert request(prompt_2="watercolor").prompt_2 == "watercolor"


def test_one_folder_that_cannot_be_indexed_costs_only_its_words(
    outputs: Outputs, settings: Settings, monkeypatch
) -> None:
    for number in range(3):
        folder = settings.outputs / f"set-{number}"
        folder.mkdir()
        picture().save(folder / "0.png")
    real = folders.image_facts.read

    def read(path: Path, meta, name):
        found = real(path, meta, name)
        if path.parent.name == "set-1":
            return replace(found, names=frozenset({("model", "half \ud800 a pair")}))
        if path.parent.name == "set-2":
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(folders.image_facts, "read", read)
    said = {image.id: image.problem for image in outputs.images()}
    assert said == {"set-0/0.png": None, "set-1/0.png": folders.UNREADABLE, "set-2/0.png": folders.UNREADABLE}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_record_that_is_no_file_is_said_and_waited_for_by_nobody(
    outputs: Outputs, settings: Settings
) -> None:
    run = finished_run(outputs, 1)
    (run.path / "meta.json").unlink()
    os.mkfifo(run.path / "meta.json")
    (info,) = outputs.runs()
    assert "cannot be read; the pictures are shown without it" in str(info.problem)


def test_a_picture_written_over_in_place_while_the_studio_was_off_is_read_again(settings: Settings) -> None:
    before = Outputs(settings)
    run = finished_run(before, 2)
    age = time.time() - 3600
    for path in (run.path / "0.png", run.path / "meta.json", run.path):
        os.utime(path, (age, age))
    before.runs()
    before.close()
    with (run.path / "0.png").open("r+b") as file:  # in place: the folder's own time stays
        file.seek(0, os.SEEK_END)
        file.write(b"\0" * 5000)
    after = Outputs(settings)
    sizes = {image.id: image.size_bytes for image in after.images()}
    assert sizes[f"{run.id}/0.png"] == (run.path / "0.png").stat().st_size
    after.close()


def test_a_large_folder_that_changes_while_it_is_read_in_parts(
    outputs: Outputs, settings: Settings, monkeypatch
):
    folder = settings.outputs / "many"
    folder.mkdir()
    for number in range(5):
        picture().save(folder / f"{number}.png")
    monkeypatch.setattr(index_module, "BATCH", 2)
    real, read = folders.image_facts.read, []

    def and_another_comes(path: Path, meta, name):
        read.append(name)
        if len(read) == 4:  # the first part is written by now
            picture().save(folder / "new.png")
        return real(path, meta, name)

    monkeypatch.setattr(folders.image_facts, "read", and_another_comes)
    assert outputs.count() == 6
    assert len(outputs.images()) == 6
