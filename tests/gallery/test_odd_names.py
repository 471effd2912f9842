"""Pictures whose names are unusual: shown wherever the system can have them, else said to be left out."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from gallery_helpers import picture, wait_until

from webbduck_gradio.gallery.export import export
from webbduck_gradio.gallery.index.skipped_entries import find
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")

SHOWN = [
    "12:30:01.png",
    "back\\slash.png",
    "a\\..\\..\\b.png",
    "..png.png",
    " .png",
    "#1?&=%20.png",
    "🦆'\"<i>.png",
]
LEFT_OUT = {
    "line\nbreak.png": "line\\nbreak.png",
    "bell\x07.PNG": "bell\\x07.PNG",
    "caf\udce9.png": "caf\\xe9.png",
}


def save(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.fsencode(folder / name), "wb") as file:
        picture().save(file, "PNG")


def test_a_colon_and_a_backslash_are_letters_of_a_name(outputs: Outputs, settings: Settings) -> None:
    names = [name for name in SHOWN if not name.startswith(".")]
    for name in names:
        save(settings.outputs / "my: run", name)
    (run,) = outputs.runs()
    ids = [f"my: run/{name}" for name in names]
    assert sorted(image.id for image in run.images) == sorted(ids)
    thumbnails, trash = Thumbnails(settings, outputs), Trash(settings, outputs)
    for image_id in ids:
        assert outputs.resolve(image_id).name == image_id.rpartition("/")[2]
        assert thumbnails.thumbnail(image_id, 256).is_file()
        assert trash.restore(trash.delete_image(image_id).id) == (image_id,)
    assert outputs.skipped.names() == []


def test_a_zip_file_has_names_that_are_safe_everywhere(outputs: Outputs, settings: Settings) -> None:
    for name in ("a:b.png", "a_b.png", "a?b.png", "x\\..\\..\\evil.png"):
        save(settings.outputs / "run", name)
    with zipfile.ZipFile(export(outputs, settings, [image.id for image in outputs.images()])) as packed:
        assert sorted(packed.namelist()) == [
            "run/a_b-2.png",
            "run/a_b-3.png",
            "run/a_b.png",
            "run/x_.._.._evil.png",
        ]


def test_what_cannot_be_shown_is_said(outputs: Outputs, settings: Settings) -> None:
    for name in LEFT_OUT:
        save(settings.outputs / "run", name)
    save(settings.outputs / "bad\udce9" / "deep", "0.png")
    save(settings.outputs / "run", "plain.png")
    save(settings.outputs / ".hidden\n", "0.png")
    (settings.outputs / "run" / "note\n.txt").touch()
    assert [image.id for image in outputs.images()] == ["run/plain.png"]
    assert outputs.skipped.names() == sorted(["bad\\xe9", *(f"run/{name}" for name in LEFT_OUT.values())])
    (settings.outputs / "run" / "plain.png").unlink()
    assert outputs.runs() == [] and len(outputs.skipped.names()) == 4


def test_it_is_followed_while_the_studio_runs(outputs: Outputs, settings: Settings) -> None:
    save(settings.outputs / "run", "plain.png")
    outputs.watch()
    try:
        assert wait_until(lambda: outputs.complete)
        version = outputs.version
        save(settings.outputs / "run", "bell\x07.png")
        assert wait_until(lambda: outputs.skipped.names() == ["run/bell\\x07.png"])
        assert wait_until(lambda: outputs.version > version), "open pages are told"
        (settings.outputs / "run" / "bell\x07.png").rename(settings.outputs / "run" / "bell.png")
        assert wait_until(lambda: outputs.skipped.names() == [] and outputs.count() == 2)
    finally:
        outputs.close()


def test_no_more_than_people_read(settings: Settings) -> None:
    folder = settings.outputs / "run"
    folder.mkdir(parents=True)
    for number in range(150):
        (folder / f"{number}\n.png").touch()
    assert len(find(settings.outputs)) == 100
