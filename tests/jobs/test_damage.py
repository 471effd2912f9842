"""Files of the studio that are damaged or strange: it starts, shows all else, and names what it lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from painter import Painter
from running import studio_settings, wait_until

from webbduck_gradio.api import serializers
from webbduck_gradio.jobs.dispatcher import run_next_job
from webbduck_gradio.services import Services
from webbduck_gradio.settings import Settings

PICTURES = 4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Settings:
    """Folders after some work: four pictures, a job that was cut off, one that waits."""
    settings = studio_settings(tmp_path_factory.mktemp("base"), starter_checkpoints)
    services = Services.start(settings)
    services.worker.context.make_generator = Painter
    for number in range(PICTURES):
        submit(services, f"a red duck {number}")
        run_next_job(services.worker, "secret", "secret")
    services.outputs.favourite(services.outputs.images()[0].id)
    submit(services, "was cut off")
    assert services.store.claim()
    submit(services, "waits")
    stop(services)
    return settings


def submit(services: Services, prompt: str) -> str:
    asked = {
        "prompt": prompt,
        "base_model": "webbduck-starter",
        "width": 64,
        "height": 64,
        "steps": 1,
        "seed": 1,
    }
    return services.submit(asked, "generate").id


def stop(services: Services) -> None:
    services.outputs.close()
    services.store.close()


@pytest.fixture
def copied(base: Settings, tmp_path: Path) -> Settings:
    root = tmp_path / "studio"
    shutil.copytree(base.outputs.parent, root, symlinks=True)
    folders = {
        name: root / getattr(base, name).name for name in ("checkpoints", "loras", "outputs", "inputs")
    }
    return replace(base, **folders)


@pytest.fixture
def start() -> Iterator[Callable[[Settings], Services]]:
    started: list[Services] = []

    def begin(settings: Settings) -> Services:
        started.append(Services.start(settings))
        started[-1].worker.context.make_generator = Painter
        return started[-1]

    yield begin
    for services in started:
        stop(services)


def database(name: str, change: Callable[[Path], Any]) -> Callable[[Settings], Any]:
    return lambda settings: change(settings.data_dir / name)


def over(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE jobs(x)")
        db.execute("PRAGMA user_version = 3")
        db.commit()


DATABASES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header gone": lambda path: over(path, 0, b"\0" * 100),
    "rubbish in the middle": lambda path: over(path, 4096 * 2 + 50, b"\xa5" * 3000),
    "another program's": foreign,
    "its journal is rubbish": lambda path: path.with_name(f"{path.name}-wal").write_bytes(b"\x5a" * 50_000),
}


@pytest.mark.parametrize("damage", DATABASES.values(), ids=DATABASES)
@pytest.mark.parametrize("name", ["jobs.sqlite3", "gallery.sqlite3", "catalog.sqlite3"])
def test_damaged_databases(copied: Settings, start, name: str, damage: Callable[[Path], Any]) -> None:
    path = copied.data_dir / name
    if not path.exists():
        path.touch()
    if damage is DATABASES["rubbish in the middle"] and path.stat().st_size < 3 * 4096:
        pytest.skip("it has no middle")
    damage(path)
    check(start(copied), queue_lost=name == "jobs.sqlite3")


def check(services: Services, queue_lost: bool = False, pictures: int = PICTURES) -> None:
    """The page's views answer, all pictures are listed, a new job runs."""
    wait_until(lambda: services.outputs.complete)
    assert len(services.outputs.images()) == pictures
    queue = serializers.queue_view(services)
    if not queue_lost:
        assert [job["request"]["prompt"] for job in queue["jobs"]] == ["waits"]
        assert queue["recent"][0]["status"] == "interrupted"
    assert services.health()["status"] == "ok"
    new = submit(services, "after the damage")
    while services.store.get(new).state != "completed":
        assert run_next_job(services.worker, "secret", "secret")
    assert len(services.outputs.images()) > pictures


RECORDS = {
    "empty": b"",
    "cut": b'{"prompt": "a',
    "5 MB": b'{"prompt": "' + b"a" * 5_000_000 + b'"}',
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half a pair": b'{"prompt": "\\ud800", "base_model": "\\ud800", "images": {"0.png": {"seed": 1}}}',
    "wrong types": json.dumps(
        {
            "timestamp": "x",
            "images": {"0.png": {"seed": [], "width": "x", "height": -1, "warnings": 5}, "1.png": 5},
            "prompt": {"a": 1},
            "base_model": 5,
            "loras": [5, None, {"name": {}}],
            "request": [],
            "warnings": 7,
        }
    ).encode(),
    "huge numbers": b'{"timestamp": 1e308, "images": {"0.png": {"seed": '
    + b"9" * 400
    + b', "width": 1e99}}}',
    "no numbers": b'{"timestamp": NaN, "images": {"0.png": {"seed": NaN, "width": Infinity}}}',
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_damaged_records_of_runs(copied: Settings, start, record: bytes) -> None:
    for path in copied.outputs.glob("*/meta.json"):
        path.write_bytes(record)
    (copied.data_dir / "gallery.sqlite3").unlink()
    services = start(copied)
    check(services)
    for image in services.outputs.images():
        assert serializers.image_view(services, image.id)["id"] == image.id


@pytest.mark.parametrize("text", [b"", b'{"outputs/a', b"[]", b"\xff\xfe\x00", b"[" * 100_000])
@pytest.mark.parametrize("name", ["favorites.json", ".webbduck/shelf.json"])
def test_damaged_lists_of_people_are_left_as_they_are(
    copied: Settings, start, name: str, text: bytes
) -> None:
    path = copied.outputs / name
    path.write_bytes(text)
    check(start(copied))
    assert path.read_bytes() == text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_things_that_are_no_files_are_waited_for_by_nobody(copied: Settings, start) -> None:
    run = next(copied.outputs.glob("*/meta.json")).parent
    (run / "meta.json").unlink()
    os.mkfifo(run / "meta.json")
    os.mkfifo(run / "7.png")
    (run / "8.png").symlink_to("/dev/zero")
    (run / "9.png").symlink_to("9.png")
    (run / "10.png").mkdir()
    (copied.data_dir / "gallery.sqlite3").unlink()
    services = start(copied)
    wait_until(lambda: services.outputs.complete)
    names = {image.id.rpartition("/")[2] for image in services.outputs.images()}
    assert names <= {"0.png"}
    check(services)
