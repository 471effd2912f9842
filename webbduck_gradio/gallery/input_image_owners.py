"""Which output folders use an input image: instances with different `--output` may share one `--inputs`, and
neither knows what the other's jobs and images still need.

`inputs/.owners/KEY/FILE_ID` is an empty file; KEY identifies the output folder. An unmarked image, for
instance from an older version, has an unknown owner and is kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress

from ..settings import Settings

log = logging.getLogger(__name__)

OWNERS = ".owners"


class InputOwners:
    """The owner marks of one inputs folder, from the point of view of one output folder."""

    def __init__(self, settings: Settings):
        self._all = settings.inputs / OWNERS
        key = hashlib.sha256(os.fsencode(settings.outputs.absolute())).hexdigest()[:16]
        self._mine = self._all / key

    def mark(self, *file_ids: str) -> None:
        """Mark images as used by this output folder. If that fails, they stay unmarked and are kept."""
        try:
            self._mine.mkdir(parents=True, exist_ok=True)
            for file_id in file_ids:
                (self._mine / file_id).touch()
        except OSError as error:
            log.warning("The owner of an input picture could not be noted: %s", error)

    def unmark(self, file_id: str) -> None:
        """Remove this output folder's mark."""
        with suppress(OSError):
            (self._mine / file_id).unlink(missing_ok=True)

    def marked(self) -> set[str]:
        """Images that this output folder uses or has used."""
        with suppress(OSError):
            return set(os.listdir(self._mine))
        return set()

    def is_marked_by_others(self, file_id: str) -> bool:
        """Whether another output folder uses the image; True if that cannot be determined."""
        try:
            others = [each for each in self._all.iterdir() if each != self._mine]
            return any(os.path.lexists(each / file_id) for each in others)
        except OSError:
            return True
