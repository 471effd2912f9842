"""Embeddings (textual inversion) for tests, made from the words that the starter knows."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from webbduck_gradio.models.tokens import token_ids


def of_words(starter: Path, path: Path, words: str, dtype: torch.dtype = torch.float32) -> Path:
    """A file whose vectors are those of some words, so that its name must mean what they mean."""
    tensors = {}
    for key, part in (("clip_l", "text_encoder"), ("clip_g", "text_encoder_2")):
        weights = load_file(starter / part / "model.safetensors")
        table = next(each for name, each in weights.items() if name.endswith("token_embedding.weight"))
        tensors[key] = table[token_ids(words)].to(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def for_sdxl(path: Path, vectors: int = 8) -> Path:
    """A file of SDXL's own widths, which the starter cannot use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"clip_l": torch.zeros(vectors, 768), "clip_g": torch.zeros(vectors, 1280)}, path)
    return path
