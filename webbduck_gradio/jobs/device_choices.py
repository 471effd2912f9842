"""What the user chose about the device: what holds now, and what is kept for the next start."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, replace
from pathlib import Path

from ..core.device_state import DeviceChoice
from ..errors import StorageError
from ..settings import MEMORY, Settings
from ..storage.atomic import cannot_write, write_atomically
from ..storage.reading import read_json

log = logging.getLogger(__name__)


class DeviceChoices:
    """The choice that holds, and the file that keeps it. Thread-safe; the last change holds.

    At the start, an option of the command line goes before what is kept.
    """

    def __init__(self, settings: Settings):
        self._path = settings.data_dir / "device.json"
        self._lock = threading.Lock()
        self._kept = _read(self._path)
        self.current = DeviceChoice(
            settings.memory or self._kept.memory, settings.compiled or self._kept.compiled
        )

    def change(self, **changed: str | bool | None) -> None:
        """Change these fields of the choice. They are kept before they hold; raises `StorageError` if that
        fails."""
        with self._lock:
            kept = replace(self._kept, **changed)  # type: ignore[arg-type]
            self._keep(kept)
            self._kept, self.current = kept, replace(self.current, **changed)  # type: ignore[arg-type]

    def _keep(self, choice: DeviceChoice) -> None:
        if choice == DeviceChoice():
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(cannot_write(self._path, error)) from error
            return
        text = json.dumps(asdict(choice)).encode()
        write_atomically(self._path, lambda file: file.write(text), self._path.parent / "tmp")


def _read(path: Path) -> DeviceChoice:
    """What is kept in the file; a damaged one counts as none."""
    try:
        found = read_json(path)
        choice = DeviceChoice(found.get("memory"), found.get("compiled", False))
        if choice.memory not in (None, *MEMORY) or not isinstance(choice.compiled, bool):
            raise ValueError("it has unknown values")
    except FileNotFoundError:
        return DeviceChoice()
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s is ignored, and the choices in it are as at first: %s", path, error)
        return DeviceChoice()
    return choice
