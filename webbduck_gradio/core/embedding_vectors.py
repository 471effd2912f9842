"""Puts the vectors of textual inversion embeddings (Gal et al. 2022) in place of words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..errors import ModelError
from ..models.tokens import Chunk, Vectors

MOST_KEPT = 64
"""Embeddings whose vectors stay in memory; those of one are at most 1.2 MB."""


@contextmanager
def put_in(encoder: Any, chunk: Chunk, part: str) -> Iterator[None]:
    """Meanwhile the encoder reads the chunk's embeddings where its ids hold placeholders. `part`: the name of
    the encoder's vectors in an embedding's file. Raises `ModelError`."""
    if not chunk.embeddings:
        yield
        return
    layer = encoder.get_input_embeddings()
    width = layer.embedding_dim
    placed = [(1 + at, vectors_of(each, part, width)) for at, each in chunk.embeddings]  # behind the start

    def replace(module: Any, arguments: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for at, vectors in placed:
            output[:, at : at + len(vectors)] = vectors.to(output)
        return output

    # After the layer, whose weights may be elsewhere or be loaded by hooks of their own until it is asked.
    handle = layer.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def vectors_of(embedding: Vectors, part: str, width: int) -> torch.Tensor:
    """(vectors, width) as stored. Raises `ModelError` where the file is not as it was when it was listed."""
    vectors = _read(embedding.path, embedding.stamp, embedding.name).get(part)
    if vectors is None or vectors.shape != (embedding.vectors, width):
        raise ModelError(
            f"The embedding {embedding.name} has other vectors than the checkpoint's text encoders; choose "
            "one that was made for it."
        )
    return vectors


@lru_cache(MOST_KEPT)
def _read(path: Path, stamp: str, name: str) -> dict[str, torch.Tensor]:
    """All vectors of a file by the text encoder's name. `stamp`: changes with the file."""
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        raise ModelError(f"The embedding {name} cannot be read; get its file again.") from None
    return {key: tensor[None] if tensor.ndim == 1 else tensor for key, tensor in tensors.items()}
