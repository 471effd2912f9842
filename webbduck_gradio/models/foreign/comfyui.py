"""Folders of ComfyUI: models/, and those that extra_model_paths.yaml or the desktop app's
extra_models_config.yaml name.

`unet`, `diffusion_models`, `clip` and `text_encoders` hold parts of checkpoints, not whole ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .folders import Kind
from .reading import Reading

KINDS: dict[str, Kind] = {
    "checkpoints": "checkpoint",
    "diffusers": "checkpoint",
    "loras": "lora",
    "vae": "vae",
    "embeddings": "embedding",
    "upscale_models": "upscale",
    "controlnet": "controlnet",
    "ultralytics": "detect",
    "ultralytics_bbox": "detect",
    "ultralytics_segm": "detect",
    "wildcards": "wildcards",
}
"""Folders below models/, and keys in YAML."""
WILDCARDS = ("wildcards", "custom_wildcards")
"""Folders of nodes that draw from lists."""
YAMLS = ("extra_model_paths.yaml", "extra_models_config.yaml")


def recognised(look: Reading) -> str | None:
    """Its name, if this is ComfyUI, the folder of the desktop app's models, or that of its settings."""
    is_program = look.has("folder_paths.py", "comfy")
    is_desktop = look.has("models/checkpoints", "custom_nodes", "user") or look.has(YAMLS[1])
    return "ComfyUI" if is_program or is_desktop else None


def read(look: Reading) -> None:
    yamls = [path for name in YAMLS if (path := look.below(look.root, name)) is not None]
    blocks = [(path, block) for path in yamls for block in _blocks(look, path)]
    # The default blocks come before models/, as ComfyUI searches.
    for path, block in (each for each in blocks if _is_default(each[1])):
        _read_block(look, path, block)
    models = look.below(look.root, "models")
    if models is not None:
        look.add_below(models, KINDS.items())
    for path, block in (each for each in blocks if not _is_default(each[1])):
        _read_block(look, path, block)
    look.add_below(look.root, (("wildcards", "wildcards"),))
    nodes = look.below(look.root, "custom_nodes")
    if nodes is not None:
        for name in look.names(nodes):
            look.add_below(nodes / name, ((each, "wildcards") for each in WILDCARDS))


def read_yaml_alone(look: Reading, path: Path) -> None:
    """What a YAML file of ComfyUI's kind names, for who has the file and not the program."""
    for block in _blocks(look, path):
        _read_block(look, path, block)


def _blocks(look: Reading, path: Path) -> list[Mapping[str, Any]]:
    return [block for block in look.yaml(path).values() if isinstance(block, dict)]


def _is_default(block: Mapping[str, Any]) -> bool:
    return str(block.get("is_default", "")).casefold() in ("true", "yes", "on", "1")


def _read_block(look: Reading, source: Path, block: Mapping[str, Any]) -> None:
    base = source.parent
    if "base_path" in block:
        found = look.configured(block["base_path"], base, source)
        if found is None or not look.is_there(found, source):
            return
        base = found
    for key, value in block.items():
        if key in KINDS:
            lines = value if isinstance(value, list) else str(value or "").splitlines()
            for line in lines:
                path = look.configured(line, base, source)
                if path is not None:
                    look.add(KINDS[key], path, source)
