"""What a power cut may not take: which files and folders are synced, and before what."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gallery_helpers import finished_run, picture, request

from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.trash import Trash
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage.atomic import write_atomically

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the system which file a handle is")


@pytest.fixture
def synced(monkeypatch) -> Callable[[], list[Path]]:
    """The files and folders that were synced since the last call, by their names at that moment."""
    real, seen = os.fsync, []

    def note(handle: int) -> None:
        seen.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)

    def since() -> list[Path]:
        found, seen[:] = list(seen), []
        return found

    return since


def test_a_written_file_and_then_its_folder_are_synced(tmp_path: Path, synced) -> None:
    temporary = tmp_path / "tmp"
    write_atomically(tmp_path / "record", lambda file: file.write(b"x"), temporary)
    first, second = synced()
    assert first.parent == temporary and second == tmp_path


def test_a_new_run_and_its_first_picture_are_synced(outputs: Outputs, settings: Settings, synced) -> None:
    run = outputs.new_run(request())
    assert settings.outputs in synced(), "the folder of the run is a name in the output folder"
    run.save(0, picture(), 1)
    assert synced().count(run.path) == 2, "after the picture and after the record"


def test_a_deletion_and_its_undoing_are_synced(outputs: Outputs, settings: Settings, synced) -> None:
    run = finished_run(outputs, 2)
    trash = Trash(settings, outputs)
    synced()
    entry = trash.delete_image(f"{run.id}/0.png")
    folder = settings.data_dir / "trash" / entry.id
    found = synced()
    assert found.index(folder) < found.index(folder / run.id), "what moves is recorded before it moves"
    assert folder / "meta" / run.id in found
    rest = trash.delete_run(run.id)
    assert settings.data_dir / "trash" / rest.id / "meta" / run.id in synced()
    trash.restore(rest.id)
    assert run.path in synced()
