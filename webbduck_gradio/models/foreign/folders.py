"""What is known of another program's folder: which models lie where in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "checkpoint", "lora", "vae", "embedding", "upscale", "detect", "controlnet", "wildcards", "styles"
]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with models of one kind; for "styles" a file."""

    kind: Kind
    path: Path
    origin: str
    """Label of the program's folder that it belongs to, unique among all; the first part of its models'
    names."""
    skip: frozenset[str] = frozenset()
    """Names directly below `path` that hold other things."""
    only: frozenset[str] | None = None
    """Paths below `path`, with `/`, that alone are models of this kind; None = all."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names that the program gives to files, by their path below `path` with `/`."""
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the program's database says of files, by the same paths, with the keys of `read_sidecar`."""
    pictures: Mapping[str, Path] = field(default_factory=dict)
    """Previews that lie elsewhere than beside the file, by the same paths."""


@dataclass(frozen=True)
class Tree:
    """One program's folder."""

    root: Path
    program: str
    """As people call it: "ComfyUI", or "folder" where no program's layout is recognised."""
    label: str
    folders: tuple[ModelFolder, ...]
    problems: tuple[str, ...] = ()
    """Sentences about what of it cannot be read."""
