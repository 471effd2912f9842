"""The picture that stands for a LoRA, and the pictures made with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelError, NotFoundError, WebbDuckError
from ..models.catalog.registry import Lora, Registry
from ..models.probe.pool import picture_in
from ..models.prompt_syntax import LORA_TAG
from ..settings import Settings
from ..storage.atomic import write_atomically
from ..storage.images import opaque, open_picture, shrunk
from .outputs import Outputs
from .thumbnails import Thumbnails

log = logging.getLogger(__name__)

MOST_RUNS = 60
"""Runs that are looked at for pictures made with a LoRA."""


def _uses(meta: Mapping[str, Any], name: str) -> bool:
    """Whether a run's record names this LoRA, in its list or as a tag of the prompt."""
    listed = meta.get("loras")
    if any(isinstance(each, dict) and each.get("name") == name for each in listed or ()):
        return True
    names = {name, name.rpartition("/")[2]}
    tagged = (found[1].strip() for found in LORA_TAG.finditer(str(meta.get("prompt", ""))))
    # Behind the name comes nothing, or a weight.
    return any(
        body.startswith(each) and body[len(each) :].lstrip()[:1] in ("", ":")
        for body in tagged
        for each in names
    )


class LoraPreviews:
    """Small copies of previews; like all thumbnails made once, and served from our own folder."""

    def __init__(self, settings: Settings, registry: Registry, outputs: Outputs, thumbnails: Thumbnails):
        self._folder = settings.thumbnails / "lora"
        self._registry, self._outputs, self._thumbnails = registry, outputs, thumbnails

    def picture(self, name: str) -> Path:
        """The owner's choice, else the picture beside the file, else the one inside, else the newest made
        with it. Raises `NotFoundError` where there is none."""
        lora = self._registry.any_lora(name)
        for source in (self._chosen, self._beside, self._inside, self._newest):
            try:
                found = source(lora)
            except WebbDuckError as error:
                log.info("no preview of %s: %s", name, error)
                continue
            if found is not None:
                return found
        raise NotFoundError(f"There is no picture of {name} yet.")

    def made_with(self, name: str, limit: int = 24) -> list[str]:
        """Ids of the newest pictures made with this LoRA."""
        words = name.replace('"', " ")
        # In the stack, or typed into the prompt as <lora:NAME:1>, of which the index keeps the words.
        queries = (f'lora:"{words}"', f'prompt:"lora {words}"', f'prompt:"lora {words.rpartition("/")[2]}"')
        runs = {run.id: run for query in queries for run in self._outputs.runs(0, MOST_RUNS, query)}
        used = [run for run in runs.values() if _uses(run.meta, name)]
        used.sort(key=lambda run: run.created, reverse=True)
        return [image.id for run in used for image in run.images][:limit]

    def last(self, name: str) -> str:
        """The newest picture made with this LoRA, else the newest of all. Raises `NotFoundError`."""
        for image in self.made_with(name, 1):
            return image
        for newest in self._outputs.images(0, 1):
            return newest.id
        raise NotFoundError("There is no picture yet; make one in the Studio first.")

    def _chosen(self, lora: Lora) -> Path | None:
        if lora.chosen_preview is None:
            return None
        return self._thumbnails.thumbnail(lora.chosen_preview)

    def _beside(self, lora: Lora) -> Path | None:
        if lora.preview is None:
            return None
        return self._thumbnails.of_preview(lora.preview[0], f"lora/{lora.name}")

    def _inside(self, lora: Lora) -> Path | None:
        if not lora.thumbnail:
            return None
        key = hashlib.sha256(f"{lora.path}\0{lora.stamp}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        target = self._folder / f"{key}.webp"
        if not target.exists():
            said = picture_in(lora.path)
            try:
                data = base64.b64decode(said.partition("base64,")[2], validate=True)
            except (binascii.Error, ValueError):
                raise ModelError(f"The picture inside {lora.name} is damaged.") from None
            # Drawn anew, so that nothing but a picture is ever served.
            name = f"the picture inside {lora.name}"
            with open_picture(io.BytesIO(data), name) as image:
                small = opaque(shrunk(image, 384, name))
            self._folder.mkdir(exist_ok=True)
            # Several pages may ask for it at once, each under a temporary name of its own.
            write_atomically(
                target,
                lambda file: small.save(file, "WEBP", quality=85),
                self._outputs.temporary,
                fsync=False,
            )
        return target

    def _newest(self, lora: Lora) -> Path | None:
        for image in self.made_with(lora.name, 1):
            return self._thumbnails.thumbnail(image)
        return None
