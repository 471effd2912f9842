"""What recalling a picture's settings asks of the catalog and of the input pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ...models.catalog.lookup import Named
from ...models.embeddings import Embedding
from ...models.style_book import StyleBook


class Model(Protocol):
    """An installed checkpoint or LoRA; optional attributes are `aliases`, `hashes` and `is_large`."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str | None:
        """AutoV2, for LoRAs AutoV3; None until computed."""


class Upscaler(Protocol):
    """An installed upscaler."""

    @property
    def name(self) -> str: ...


class Catalog(Protocol):
    """The part of `models.catalog.registry.Registry` used here."""

    @property
    def styles(self) -> StyleBook: ...

    def checkpoints(self) -> Sequence[Model]:
        """All checkpoints."""

    def loras(self) -> Sequence[Model]:
        """All LoRAs."""

    def embeddings(self) -> Sequence[Embedding]:
        """All embeddings."""

    def upscalers(self) -> Sequence[Upscaler]:
        """All upscalers."""

    def detectors(self) -> Sequence[Named]:
        """All detectors."""

    def vaes(self) -> Sequence[Model]:
        """All VAEs beside the checkpoints."""


class InputImages(Protocol):
    """What is asked of `gallery.input_images.InputImageStore`."""

    def path(self, file_id: str) -> Path:
        """File of an input picture. Raises `NotFoundError` where it is gone."""
