"""Writes the run folder of a job: its images and `meta.json`."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from PIL import Image

from ..errors import StorageError
from ..request import GenerationRequest
from ..storage.atomic import cannot_write, write_atomically
from . import metadata
from .run_layout import META

log = logging.getLogger(__name__)


class Run:
    """The run folder of a job in progress. Not thread-safe."""

    def __init__(
        self,
        path: Path,
        request: GenerationRequest,
        kind: str,
        job_id: str,
        owner: str | None,
        temporary: Path,
        changed: Callable[[str], object],
        closed: Callable[[str], object],
        earlier: Mapping[str, Any] | None = None,
    ):
        """`changed` and `closed` are called with the run's id, once something of it was written and once
        nothing more will come; `temporary` is the folder of files half written. `earlier`: the record so far
        of a run that goes on."""
        self.id = path.name
        self.path = path
        self._temporary, self._changed, self._closed = temporary, changed, closed
        self._request = request
        self._kind = kind
        now = datetime.now().astimezone()
        self._meta: dict[str, Any] = {
            **_first_version_keys(request),
            "timestamp": now.timestamp(),
            "created": now.isoformat(timespec="seconds"),
            "kind": kind,
            "state": "running",
            "job_id": job_id,
            "owner": owner,
            "seeds": [],
            "warnings": [],
            "versions": {},
            "images": {},
            "request": request.model_dump(mode="json"),
        }
        for key in ("timestamp", "created", "seeds", "warnings", "versions", "images"):
            value = (earlier or {}).get(key)
            if isinstance(value, type(self._meta[key])):
                self._meta[key] = value

    def save(
        self,
        picture_index: int,
        image: Image.Image,
        seed: int,
        warnings: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
        saved: Callable[[str], object] = lambda image_id: None,
        stages: Mapping[str, Image.Image] = MappingProxyType({}),
    ) -> str:
        """Write image `picture_index` (from 0) with its metadata; returns its id. Raises `StorageError`.

        `stages`: written beside it as N_STAGE, each with the metadata of its own request, and before it, so
        that a finished image has them.

        `facts`: reproduction metadata of the core (JSON values); its `versions` are merged with ours.
        `saved` is called with the id once the image is on disk, even if writing meta.json fails afterwards.
        """
        format = getattr(self._request, "output_format", "png")
        name = f"{picture_index}.{format}"
        target = self.path / name
        if target.exists():
            raise StorageError(f"{self.id}/{name} is already there and is not replaced.")
        chunk = metadata.build_chunk(
            self._request,
            picture_index,
            seed=seed,
            kind=self._kind,
            job_id=self._meta["job_id"],
            warnings=warnings,
            facts=facts,
        )
        self._make_folder()
        for stage, picture in stages.items():
            self._save_stage(f"{self.id}/{name}", stage, picture, chunk)
        write_atomically(
            target,
            lambda file: metadata.save_picture(image, file, format, chunk),
            self._temporary,
        )
        saved(f"{self.id}/{name}")
        self._record(name, image.size, chunk)
        self._write_meta()
        self._changed(self.id)
        return f"{self.id}/{name}"

    def take_up(self, names: Sequence[str]) -> None:
        """Record pictures that are in the run, but not in its record, since the studio was ended in between:
        by what they say themselves. `close` writes the record."""
        for name in names:
            if name in self._meta["images"]:
                continue
            try:
                found = metadata.read(self.path / name)
            except StorageError as error:
                log.warning("%s is not in the record of its run: %s", name, error)
                continue
            if (chunk := found["webbduck"]) is None:
                continue
            if not self._meta["images"]:
                with suppress(TypeError, ValueError):
                    self._meta["timestamp"] = datetime.fromisoformat(chunk["created"]).timestamp()
                    self._meta["created"] = chunk["created"]
            self._record(name, (found["width"], found["height"]), chunk)

    def _record(self, name: str, size: tuple[int, int], chunk: Mapping[str, Any]) -> None:
        facts, warnings = chunk["facts"], chunk["warnings"]
        entry = {
            "seed": chunk["request"]["seed"],
            "width": size[0],
            "height": size[1],
            "warnings": list(warnings),
        }
        for key, fact in (("drawn", "drawn"), ("source", "source_name")):
            if facts.get(fact):
                entry[key] = facts[fact]
        self._meta["images"][name] = entry
        self._meta["seeds"] = [each["seed"] for each in self._meta["images"].values()]
        self._meta["warnings"] = list(dict.fromkeys([*self._meta["warnings"], *warnings]))
        self._meta["versions"] = chunk["versions"]

    def _save_stage(self, of: str, stage: str, image: Image.Image, chunk: Mapping[str, Any]) -> None:
        """Write a stage of the image `of`, whose chunk this is. A file of that name was left by a crash
        before the image itself was written."""
        path = PurePosixPath(of)
        own = metadata.chunk_of_stage(chunk, stage, of)
        write_atomically(
            self.path / f"{path.stem}_{stage}{path.suffix}",
            lambda file: metadata.save_picture(image, file, path.suffix[1:], own),
            self._temporary,
        )

    def close(self, state: str) -> None:
        """Record the final state of the job. A run without images is removed."""
        self._meta["state"] = state
        self._closed(self.id)
        if self.path.is_dir() and not _remove_if_empty(self.path):
            self._write_meta()
        self._changed(self.id)

    def _make_folder(self) -> None:
        # If the run is deleted while its job is running, later images are still saved.
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError(cannot_write(self.path, error)) from error

    def _write_meta(self) -> None:
        text = json.dumps(self._meta, ensure_ascii=False, indent=2, default=str)
        write_atomically(self.path / META, lambda file: file.write(text.encode("utf-8")), self._temporary)


def _first_version_keys(request: GenerationRequest) -> dict[str, Any]:
    fields = request.model_dump(mode="json") | {"scheduler": request.scheduler}
    keys = (
        "prompt negative_prompt base_model steps cfg width height num_images seed scheduler loras strength "
        "sampler schedule second_pass_model second_pass_mode refinement_strength inpainting_fill mask_blur"
    )
    return {key: fields[key] for key in keys.split()}


def _remove_if_empty(folder: Path) -> bool:
    """Remove a run folder that holds only meta.json; returns whether it did."""
    if not set(os.listdir(folder)) <= {META}:
        return False
    try:
        (folder / META).unlink(missing_ok=True)
        folder.rmdir()
    except OSError as error:
        log.warning("could not remove the empty run %s: %s", folder, error)
    return True
