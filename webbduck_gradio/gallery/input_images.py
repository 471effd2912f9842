"""Input images and masks of jobs, stored under the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import os
import re
from io import BytesIO
from pathlib import Path

from ..errors import NotFoundError, RequestError, StorageError
from ..request import INPUT_IMAGE_ID, MAX_INPUT_BYTES
from ..settings import Settings
from ..storage.atomic import write_atomically
from ..storage.images import decoding, open_picture
from .input_image_names import InputNames
from .input_image_owners import InputOwners

FILE_ID = re.compile(INPUT_IMAGE_ID)
MAX_INPUT_PIXELS = 64 * 10**6
ENDINGS = {"PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp"}


class InputImageStore:
    """The folder of input images (`settings.inputs`). Identical files are stored once."""

    def __init__(self, settings: Settings):
        self._folder = settings.inputs
        self.owners = InputOwners(settings)
        self.names = InputNames(settings)

    def store(self, source: Path | bytes, name: str | None = None) -> str:
        """Store an image file unchanged; returns its id: SHA-256 and extension. `name`: where it came from.

        Accepts PNG, JPEG (including MPO from cameras) and WebP up to 64 MiB and 64 megapixels whose first
        frame decodes completely; otherwise raises `RequestError`. Raises `StorageError` if writing fails.
        """
        data = self._bytes(source)
        file_id = f"{hashlib.sha256(data).hexdigest()}.{_checked_extension(data)}"
        target = self._folder / file_id
        self.owners.mark(file_id)
        if target.exists():
            os.utime(target)  # in use again: not evicted by age
        else:
            write_atomically(target, lambda file: file.write(data), self._folder / ".tmp")
        if name:
            self.names.note(file_id, name)
        return file_id

    def path(self, file_id: str) -> Path:
        """The file of an id. Raises `NotFoundError`."""
        path = self._folder / file_id if isinstance(file_id, str) and FILE_ID.fullmatch(file_id) else None
        if path is None or path.is_symlink() or not path.is_file():
            raise NotFoundError("The input picture is no longer there; choose it again.")
        return path

    def _bytes(self, source: Path | bytes) -> bytes:
        too_large = RequestError(
            f"The picture has more than {MAX_INPUT_BYTES >> 20} MiB; choose a smaller one."
        )
        if isinstance(source, bytes):
            if len(source) > MAX_INPUT_BYTES:
                raise too_large
            return source
        try:
            with source.open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
        except OSError as error:
            raise RequestError(
                f"The picture could not be read ({(error.strerror or 'error').lower()}); choose it again."
            ) from error
        if len(data) > MAX_INPUT_BYTES:
            raise too_large
        return data


def _checked_extension(data: bytes) -> str:
    """The file extension of a valid image. Raises `RequestError`."""
    try:
        with open_picture(BytesIO(data), "The picture") as image:
            ending = ENDINGS[image.format or ""]
            if image.width * image.height > MAX_INPUT_PIXELS:
                raise RequestError(
                    f"The picture has {image.width} x {image.height} pixels; "
                    f"at most {MAX_INPUT_PIXELS // 10**6} megapixels are possible."
                )
            with decoding(image, "The picture"):
                image.load()
    except StorageError as error:
        raise RequestError(str(error)) from error
    return ending
