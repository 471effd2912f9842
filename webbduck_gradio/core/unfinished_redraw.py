"""The state of a picture that is being redrawn in tiles: those that are finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from .progress import UNFINISHED_FORMAT
from .unfinished import Tensors, read_contents, sentences, write_contents


@dataclass(frozen=True, kw_only=True)
class UnfinishedRedraw:
    """All that is needed to go on with the next tile, beside what is made anew from the request. Implements
    `progress.UnfinishedState`."""

    step: int
    """Steps of all tiles that are done."""
    total: int
    tiles: tuple[bytes, ...]
    """The finished tiles, in order, as PNG files."""
    warnings: tuple[str, ...]
    memory_warnings: tuple[str, ...]
    origin: Mapping[str, Any]
    """What the picture's bits depend on (`origin.Origin`)."""
    index: int = 0

    def write(self, file: BinaryIO) -> None:
        """Write it as safetensors, with a checksum. Raises `OSError`."""
        texts = {
            "format": UNFINISHED_FORMAT,
            "stage": "redraw",
            "index": "0",
            "step": str(self.step),
            "total": str(self.total),
            "warnings": json.dumps(self.warnings),
            "memory_warnings": json.dumps(self.memory_warnings),
            "origin": json.dumps(self.origin),
        }
        tensors = {
            f"tile.{number}": torch.frombuffer(bytearray(each), dtype=torch.uint8)
            for number, each in enumerate(self.tiles)
        }
        write_contents(file, texts, tensors)


def read(path: Path) -> UnfinishedRedraw:
    """Raises `GenerationError` for a file that cannot be read, is damaged or is of another kind of job."""
    return read_contents(path, _of)


def _of(texts: Mapping[str, str], tensors: Tensors) -> UnfinishedRedraw:
    step, total = int(texts["step"]), int(texts["total"])
    origin = json.loads(texts["origin"])
    tiles = tuple(tensors[f"tile.{number}"].numpy().tobytes() for number in range(len(tensors)))
    if texts["stage"] != "redraw" or not tiles or not 0 < step <= total or not isinstance(origin, dict):
        raise ValueError("a value is of another kind")
    return UnfinishedRedraw(
        step=step,
        total=total,
        tiles=tiles,
        warnings=tuple(sentences(texts["warnings"])),
        memory_warnings=tuple(sentences(texts["memory_warnings"])),
        origin=origin,
    )
