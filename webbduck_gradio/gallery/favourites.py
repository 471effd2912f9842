"""Favourite images, stored as in the first version: `favorites.json` in the output folder."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from ..errors import StorageError
from ..storage.atomic import write_atomically
from ..storage.reading import read_json

log = logging.getLogger(__name__)
PREFIX = "outputs/"
"""Prefix of every key in the first version's format, whatever the output folder is called."""


class Favourites:
    """`{"outputs/RUN/0.png": true}`. Unknown entries are kept; a broken file is never overwritten."""

    def __init__(self, path: Path, temporary: Path):
        self._path = path
        self._temporary = temporary
        self._lock = threading.Lock()
        self._stamp: int | None = -1
        self._marks: dict[str, object] = {}
        self.problem: str | None = None

    def __contains__(self, image_id: str) -> bool:
        with self._lock:
            self._load()
            return bool(self._marks.get(PREFIX + image_id))

    def ids(self) -> set[str]:
        """Ids of all favourites, including images in the trash."""
        with self._lock:
            self._load()
            return {key.removeprefix(PREFIX) for key, marked in self._marks.items() if marked}

    def set(self, image_ids: Iterable[str], favourite: bool) -> None:
        """Mark or unmark images. Raises `StorageError`."""
        keys = {PREFIX + image_id for image_id in image_ids}
        with self._lock:
            self._load()
            if self.problem:
                raise StorageError(self.problem)
            marks = {key: marked for key, marked in self._marks.items() if key not in keys}
            if favourite:
                marks |= dict.fromkeys(sorted(keys), True)
            # Lone surrogates, valid in JSON but not in UTF-8, stay escaped.
            text = json.dumps(marks, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
            write_atomically(self._path, lambda file: file.write(text), self._temporary)
            self._marks, self._stamp = marks, self._modified_ns()

    def _modified_ns(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None

    def _load(self) -> None:
        """Reload the file if it has changed on disk."""
        stamp = self._modified_ns()
        if stamp == self._stamp:
            return
        self._stamp, self.problem = stamp, None
        try:
            marks = read_json(self._path) if stamp is not None else {}
            if not isinstance(marks, dict):
                raise ValueError("not an object")
            self._marks = marks
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
            self.problem = f"{self._path.name} cannot be read; repair or remove it to mark favourites."
