"""Detects unavailable folders, which would make every job fail.

An unplugged drive, a hanging network share or a read-only folder is usually temporary. The queue pauses with
the reason instead of failing one job after another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..settings import Settings
from ..storage.reading import identity


class Obstacles:
    """Checks the studio's folders; cheap enough to be called before each job."""

    def __init__(self, settings: Settings, of_next_job: Callable[[], str | None] = lambda: None):
        """`of_next_job`: returns why the next job has to wait for a model folder, or None."""
        self._settings, self._of_next_job = settings, of_next_job
        self._data_dir = identity(settings.data_dir)

    def found(self) -> str | None:
        """A message about the first folder that is unavailable, or None. Never raises."""
        settings = self._settings
        data_dir = identity(settings.data_dir)
        if data_dir is None:
            return self._message("output", settings.outputs, "does not exist")
        if self._data_dir is not None and data_dir != self._data_dir:
            # The open database of the queue is in the previous folder.
            return (
                f"The output folder{self._shown(settings.outputs)} was replaced while the studio ran; "
                "restart the studio to use the new one."
            )
        for folder in (settings.outputs, settings.data_dir, settings.data_dir / "tmp"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                return self._message("output", settings.outputs, "is not writable")
        for kind, folder in (
            ("checkpoint", settings.checkpoints),
            ("LoRA", settings.loras),
            ("input", settings.inputs),
        ):
            if reason := _unreadable(folder):
                return self._message(kind, folder, reason)
        return self._of_next_job()

    def _message(self, kind: str, folder: Path, what: str) -> str:
        shown = self._shown(folder)
        return f"The {kind} folder{shown} {what}; the queue resumes automatically when it is available again."

    def _shown(self, folder: Path) -> str:
        """The path, if only this computer can reach the studio; other clients must not learn its folders."""
        return f" {folder}" if self._settings.is_loopback_only else ""


def _unreadable(folder: Path) -> str | None:
    try:
        with os.scandir(folder):
            return None
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({(error.strerror or type(error).__name__).lower()})"
