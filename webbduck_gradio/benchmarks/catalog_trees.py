"""Three other programs' folders with thousands of models, for the benchmark of the catalog.

Seven in ten are LoRAs of SDXL, one in ten a LoRA of SD 1.5, the others checkpoints, half of them SD 1.5 ones,
and embeddings. Each kind has a few files with the full header of a real one, to which all names are hard
links: they are read one by one all the same. Every second LoRA has the notes of its program beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..models.probe import single_file_config
from .sdxl import CLIP, OPEN_CLIP, UNET, VAE, write_header

MARKERS = {
    "A1111": ("webui.py", "modules/sd_models.py"),
    "ComfyUI": ("main.py", "folder_paths.py", "comfy/sd.py"),
    "SwarmUI": ("SwarmUI.sln", "src/SwarmUI.csproj"),
}
FOLDERS = {
    "A1111": ("models/Stable-diffusion", "models/Lora", "embeddings"),
    "ComfyUI": ("models/checkpoints", "models/loras", "models/embeddings"),
    "SwarmUI": ("Models/Stable-Diffusion", "Models/Lora", "Models/Embeddings"),
}
"""Of checkpoints, LoRAs and embeddings."""
NOTES = {"A1111": ".json", "ComfyUI": ".metadata.json", "SwarmUI": ".swarm.json"}
PER_FOLDER = 50
"""Models in each subfolder."""
DIFFERENT = 12
"""Files of each kind with a shape of their own."""


def sdxl() -> dict[str, tuple[int, ...]]:
    """Every tensor of SDXL in the original layout."""
    words = {"vocab_size": 49408, "max_position_embeddings": 77}
    whole = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2}
    parts: dict[str, dict[str, Any]] = {
        "unet": UNET | whole,
        "vae": VAE | {"in_channels": 3, "out_channels": 3},
        "text_encoder": {**words, **CLIP, "projection_dim": 768},
        "text_encoder_2": {**words, **OPEN_CLIP, "projection_dim": 1280},
    }
    return {
        name: shape
        for each in single_file_config.tensors(parts, False).values()
        for name, shape in each.items()
    }


def sd1(lora: bool) -> dict[str, tuple[int, ...]]:
    """As many tensors as a file for SD 1.5 has, by which it is told."""
    before, ending = ("lora_unet_", "_lora_down.weight") if lora else ("model.diffusion_model.", ".weight")
    shapes: dict[str, tuple[int, ...]] = {}
    for block in range(1, 12):
        for index in range(8):
            name = f"input_blocks.{block}.1.transformer_blocks.0.attn2.to_k"
            if lora:
                key = f"lora_unet_{name.replace('.', '_')}"
                shapes |= {f"{key}.lora_down.weight": (4, 768), f"{key}.lora_up.weight": (320, 4)}
            else:
                shapes[f"{before}{name}{ending}"] = (320, 768)
                shapes[f"{before}output_blocks.{block}.{index}.weight"] = (320, 320)
    return shapes


def write_trees(root: Path, count: int, write_lora: Callable[[Path, int, int], None]) -> list[Path]:
    """The programs' folders, with `count` models in all. `write_lora`: as in `catalog`."""
    originals = root / "originals"
    originals.mkdir(parents=True)
    xl = sdxl()
    kinds: dict[str, list[Path]] = {}
    for number in range(DIFFERENT):
        for kind in ("lora", "old lora", "checkpoint", "old checkpoint", "embedding"):
            path = originals / f"{kind} {number}.safetensors"
            kinds.setdefault(kind, []).append(path)
            if kind == "lora":
                write_lora(path, number, 4 + number)
            elif kind == "embedding":
                write_header(path, {"clip_l": (1 + number, 768), "clip_g": (1 + number, 1280)})
            else:
                write_header(path, xl if kind == "checkpoint" else sd1("lora" in kind))
    places = [(program, root / program) for program in MARKERS]
    for program, folder in places:
        for marker in MARKERS[program]:
            (folder / marker).parent.mkdir(parents=True, exist_ok=True)
            (folder / marker).touch()
    note = json.dumps({"activation text": "in ink", "description": "Ink on paper.", "notes": "x" * 300})
    for number in range(count):
        program, folder = places[number % len(places)]
        turn = number // len(places)
        kind, where = _kind(turn % 20)
        below = folder / FOLDERS[program][where] / f"shelf {turn // PER_FOLDER}"
        below.mkdir(parents=True, exist_ok=True)
        os.link(kinds[kind][turn % DIFFERENT], below / f"{kind} {turn}.safetensors")
        if where == 1 and turn % 2:
            (below / f"{kind} {turn}{NOTES[program]}").write_text(note)
    return [folder for _, folder in places]


def _kind(turn: int) -> tuple[str, int]:
    """Of the models of 20, and which of a program's folders they lie in."""
    if turn < 14:
        return "lora", 1
    if turn < 16:
        return "old lora", 1
    if turn < 19:
        return ("checkpoint", "old checkpoint")[turn % 2], 0
    return "embedding", 2
