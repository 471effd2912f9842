"""The picture that stands for a style: a small copy of one that its owner chose."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import NotFoundError
from ..settings import Settings
from ..storage.atomic import write_atomically
from .outputs import Outputs
from .thumbnails import Thumbnails


class StylePreviews:
    """Kept by the style's name in our own folder; styles.csv has no place for them. One of a deleted style
    stays, so that it is there again when the deletion is undone."""

    def __init__(self, settings: Settings, outputs: Outputs, thumbnails: Thumbnails):
        self._folder = settings.data_dir / "styles"
        self._outputs, self._thumbnails = outputs, thumbnails

    def picture(self, name: str) -> Path:
        """Raises `NotFoundError` where there is none."""
        path = self._path(name)
        if not path.is_file():
            raise NotFoundError("This style has no picture yet.")
        return path

    def versions(self) -> dict[str, str]:
        """A value for each key of a picture (`key_of`) that changes with it."""
        try:
            with os.scandir(self._folder) as entries:
                return {Path(each.name).stem: str(each.stat().st_mtime_ns) for each in entries}
        except FileNotFoundError:
            return {}

    def choose(self, name: str, image_id: str) -> None:
        """Let a gallery picture stand for a style. Raises `NotFoundError`, `StorageError`."""
        self._keep(name, self._thumbnails.thumbnail(image_id))

    def renamed(self, old: str, new: str) -> None:
        """Let the picture of one style stand for another one as well."""
        if self._path(old).is_file():
            self._keep(new, self._path(old))

    def _keep(self, name: str, source: Path) -> None:
        content = source.read_bytes()
        self._folder.mkdir(exist_ok=True)
        write_atomically(self._path(name), lambda file: file.write(content), self._outputs.temporary)

    def _path(self, name: str) -> Path:
        return self._folder / f"{key_of(name)}.webp"


def key_of(name: str) -> str:
    """What the picture of a style is kept by."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
