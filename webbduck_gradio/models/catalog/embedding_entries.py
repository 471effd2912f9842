"""The catalog's embeddings: those in checkpoint/embedding, and those that lie among the LoRAs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...settings import Settings
from ..embeddings import Embedding, why_unusable
from ..foreign.candidates import foreign_candidates
from ..foreign.folders import ModelFolder
from ..probe.embedding import EmbeddingInfo
from ..probe.lora import EMBEDDING
from ..scan import Candidate, Folders, candidates
from .entries import Checkpoint, Lora
from .probe_cache import ScanPass

Hashed = Checkpoint | Lora | Embedding
"""Models whose hashes are computed in the background."""
NO_FILE = Path()
"""Stands for a file of settings that the embeddings' folder has not."""


def list_embeddings(
    settings: Settings,
    foreign: Sequence[ModelFolder],
    loras: Iterable[Lora],
    scan: ScanPass,
    before: Mapping[str, Embedding],
    unread: Folders,
    problems: list[str],
) -> dict[str, Embedding]:
    """By name. One among the `loras` whose name another has is called `lora/NAME`. `foreign`: other programs'
    folders of embeddings."""
    root = settings.checkpoints / "embedding"
    # The folder is made when somebody needs it; where its drive is away, the folder above says so.
    found = candidates(root, folders=False, known=unread) if root.is_dir() else []
    found += foreign_candidates(foreign, found, unread)
    names = {each.name for each in found}
    among = {
        f"lora/{lora.name}" if lora.name in names else lora.name: lora
        for lora in loras
        if lora.unusable and EMBEDDING in lora.unusable
    }
    found += [
        Candidate(name, lora.path, False, lora.stamp, lora.size_bytes, lora.modified, origin=lora.origin)
        for name, lora in among.items()
    ]
    results = scan.read(found, before, lambda each: "embedding")
    beside = scan.read_sidecars(found, NO_FILE, problems)
    listed: dict[str, Embedding] = {}
    for each in found:
        result = results.get(each.name)
        if isinstance(result, Embedding):  # the old entry, until the file is complete
            listed[each.name] = result
        elif isinstance(result, EmbeddingInfo | str):
            listed[each.name] = embedding_entry(each, result, {**each.told, **beside.get(each.name, {})})
        if each.name in listed and each.name in among:
            listed[each.name] = _with_notes(listed[each.name], among[each.name])
    return listed | {each.name: each for each in unread.kept(before.values(), listed)}


def _with_notes(embedding: Embedding, lora: Lora) -> Embedding:
    """With what lies beside it, or the user noted, as a LoRA."""
    return replace(
        embedding,
        description=lora.description,
        notes=lora.notes,
        base=lora.base,
        tags=lora.tags,
        preview=lora.preview,
    )


def embedding_entry(
    candidate: Candidate, findings: EmbeddingInfo | str, sidecar: Mapping[str, Any]
) -> Embedding:
    """An embedding from its probe result and its sidecar files."""
    known = findings if isinstance(findings, EmbeddingInfo) else EmbeddingInfo("unknown", 0, (0, 0))
    unusable = (
        findings if isinstance(findings, str) else why_unusable(candidate.name, known.arch, known.fault)
    )
    return Embedding(
        name=candidate.name,
        path=candidate.path,
        arch=known.arch,
        vectors=known.vectors,
        widths=known.widths,
        size_bytes=candidate.size,
        modified=candidate.modified,
        unusable=unusable,
        description=str(sidecar.get("description", "")),
        notes=str(sidecar.get("notes", "")),
        base=str(sidecar.get("base", "")),
        tags=tuple(sidecar.get("tags", ())),
        preview=candidate.preview(),
        stamp=candidate.stamp,
        origin=candidate.origin,
        converted_from=known.converted_from,
    )
