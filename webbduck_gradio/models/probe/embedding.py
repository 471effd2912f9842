"""Probes embeddings (textual inversion, Gal et al. 2022) by their header: for which model, and their size.

An embedding for SDXL holds `clip_l` (vectors, width of the first text encoder) and `clip_g` (vectors, width
of the second). Older ones hold one tensor, whose width tells the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import ModelError
from ..tokens import CHUNK
from .converted import source_in
from .detect import LORA_KEY
from .safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, Header, read_header

FIRST, SECOND = "clip_l", "clip_g"
"""Names of the tensors for SDXL's text encoders."""
SD3 = "t5xxl"
_BY_WIDTH = {768: "sd1", 1024: "sd2"}
"""Width of the text encoder -> architecture, of those with a single one."""
FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class EmbeddingInfo:
    """Facts about an embedding. `vectors`: the tokens that it takes; `widths`: of its vectors for each of
    SDXL's text encoders, 0 where there are none."""

    arch: str
    vectors: int
    widths: tuple[int, int]
    fault: str = ""
    """Why it cannot be used, as a predicate for its name; "" if nothing is wrong."""
    converted_from: str = ""
    """Name of the pickle that the file was made from."""


def is_embedding(header: Header) -> bool:
    """Whether the names alone tell that a file is an embedding."""
    names = header.tensors.keys()
    return FIRST in names or SECOND in names or names == {"emb_params"}


def inspect_embedding(path: Path) -> EmbeddingInfo:
    """Probe an embedding's file. Raises `ModelError` for broken files and files that are no embeddings."""
    if path.suffix.lower() in PICKLE_ENDINGS:
        raise ModelError(f"{path.name} {PICKLE_REASON}.")
    header = read_header(path)
    return replace(_by_shapes(path, header), converted_from=source_in(header.metadata))


def _by_shapes(path: Path, header: Header) -> EmbeddingInfo:
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    known = is_embedding(header)
    if not known and (len(shapes) != 1 or len(next(iter(shapes.values()))) not in (1, 2)):
        what = "a LoRA" if LORA_KEY.search("\n".join(shapes)) else "of an unknown kind"
        raise ModelError(f"{path.name} is {what}, not an embedding; move it out of the embedding folder.")
    # A single vector may have been saved without the axis that counts them.
    sizes = {name: (1, *shape) if len(shape) == 1 else shape for name, shape in shapes.items()}
    if FIRST not in sizes and SECOND not in sizes:
        ((vectors, width),) = sizes.values()
        return EmbeddingInfo(_BY_WIDTH.get(width, "unknown"), vectors, (width, 0))
    both = [sizes.get(name, (0, 0)) for name in (FIRST, SECOND)]
    if any(len(shape) != 2 for shape in both):
        return EmbeddingInfo("sdxl", 0, (0, 0), "is damaged: its tensors are no lists of vectors")
    vectors, widths = max(shape[0] for shape in both), (both[0][1], both[1][1])
    if SD3 in sizes:
        return EmbeddingInfo("sd3", vectors, widths)
    return EmbeddingInfo("sdxl", vectors, widths, _fault(header, both))


def _fault(header: Header, both: list[tuple[int, ...]]) -> str:
    counts = [shape[0] for shape in both]
    dtypes = {header.tensors[name].dtype for name in (FIRST, SECOND) if name in header.tensors}
    if 0 in counts or 0 in (both[0][1], both[1][1]):
        return "has vectors for one of SDXL's two text encoders only"
    if counts[0] != counts[1]:
        return f"is damaged: it has {counts[0]} vectors for one text encoder and {counts[1]} for the other"
    if counts[0] > CHUNK:
        return f"has {counts[0]} vectors; at most {CHUNK} fit into a prompt's chunk"
    if odd := sorted(dtypes - set(FLOATS)):
        return f"is stored as {odd[0]}, which is not supported"
    return ""
