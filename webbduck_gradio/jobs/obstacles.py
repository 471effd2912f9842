"""What keeps every job from being run although nothing is wrong with the jobs: a folder that is away.

A drive that is unplugged, a share that hangs or a folder that became read-only passes. The queue waits for
it, with the reason, instead of failing one job after another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..settings import Settings


class Obstacles:
    """Looks at the studio's folders; cheap enough to be asked before each job."""

    def __init__(self, settings: Settings, of_the_next: Callable[[], str | None] = lambda: None):
        """`of_the_next`: why the next job has to wait for a folder of its own models, if it has."""
        self._settings, self._of_the_next = settings, of_the_next
        self._private = _identity(settings.data_dir)

    def found(self) -> str | None:
        """One sentence for the first folder that cannot be used now, or None. Never raises."""
        settings = self._settings
        private = _identity(settings.data_dir)
        if private is None:
            return self._sentence("output", settings.outputs, "is not there")
        if self._private is not None and private != self._private:
            # The queue's open database lies in the folder that was there before.
            return (
                f"The output folder{self._shown(settings.outputs)} was replaced while the studio ran; "
                "restart the studio, so that it works on what is there now."
            )
        for folder in (settings.outputs, settings.data_dir, settings.data_dir / "tmp"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                return self._sentence("output", settings.outputs, "cannot be written to")
        for kind, folder in (
            ("checkpoint", settings.checkpoints),
            ("LoRA", settings.loras),
            ("input", settings.inputs),
        ):
            if reason := _unreadable(folder):
                return self._sentence(kind, folder, reason)
        return self._of_the_next()

    def _sentence(self, kind: str, folder: Path, what: str) -> str:
        shown = self._shown(folder)
        return f"The {kind} folder{shown} {what}; when it is back, the queue goes on by itself."

    def _shown(self, folder: Path) -> str:
        """The path, for whoever sits at this computer; others learn nothing of its folders."""
        return f" {folder}" if self._settings.is_loopback_only else ""


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _unreadable(folder: Path) -> str | None:
    try:
        with os.scandir(folder):
            return None
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read ({(error.strerror or type(error).__name__).lower()})"
