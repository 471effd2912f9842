"""The names that input images had where they came from: `inputs/.names/FILE_ID` holds the last one.

An input image is stored under the hash of its bytes; the name serves to find what was made from it.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from ..errors import StorageError
from ..settings import Settings
from ..storage.atomic import write_atomically

log = logging.getLogger(__name__)

NAMES = ".names"
LONGEST = 255
"""Characters of a name that are kept."""


class InputNames:
    """The names of one inputs folder."""

    def __init__(self, settings: Settings):
        self._folder, self._temporary = settings.inputs / NAMES, settings.inputs / ".tmp"

    def note(self, file_id: str, name: str) -> None:
        """Note a file's name, without its folders. A failure is logged: the image is usable without."""
        plain = name.replace("\\", "/").rpartition("/")[2][:LONGEST]
        data = plain.encode("utf-8", "replace")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / file_id, lambda file: file.write(data), self._temporary)
        except (OSError, StorageError) as error:
            log.warning("The name of an input picture could not be noted: %s", error)

    def of(self, file_id: str) -> str | None:
        """The name of a stored image; None if none is known."""
        try:
            return (self._folder / file_id).read_text("utf-8", "replace")[:LONGEST] or None
        except OSError:
            return None

    def forget(self, file_id: str) -> None:
        """Remove the name of an image that is gone."""
        with suppress(OSError):
            (self._folder / file_id).unlink(missing_ok=True)
