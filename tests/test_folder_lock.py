"""One studio at a time uses a folder, however the one before ended."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from webbduck_gradio.errors import SettingsError
from webbduck_gradio.storage.folder_lock import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from webbduck_gradio.storage.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_second_lock_is_refused_until_the_first_is_released(path: Path) -> None:
    first = FolderLock(path)
    with pytest.raises(SettingsError, match="Another WebbDuck already uses the folder"):
        FolderLock(path)
    first.release()
    FolderLock(path).release()


def test_killed_process_leaves_the_folder_free(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SettingsError):
            FolderLock(path)
        other.kill()
    FolderLock(path).release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_used_with_a_warning(path: Path, monkeypatch, caplog, code: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    FolderLock(path).release()
    assert "start only one studio" in caplog.text
    assert list(path.parent.iterdir()) == [path]  # nothing that would outlive a killed process


def test_folder_that_cannot_be_written_is_no_matter_of_locks(path: Path, caplog) -> None:
    with pytest.raises(FileNotFoundError):
        FolderLock(path.parent / "missing" / "lock")
    assert not caplog.text
