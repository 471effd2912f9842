"""Folders of Fooocus and its forks: config.txt, which is JSON, or else their usual places."""

from __future__ import annotations

from .folders import Kind
from .reading import Reading

FOLDERS: tuple[tuple[str, str, Kind], ...] = (
    ("path_checkpoints", "models/checkpoints", "checkpoint"),
    ("path_loras", "models/loras", "lora"),
    ("path_embeddings", "models/embeddings", "embedding"),
    ("path_vae", "models/vae", "vae"),
    ("path_upscale_models", "models/upscale_models", "upscale"),
    ("path_controlnet", "models/controlnet", "controlnet"),
    ("path_wildcards", "wildcards", "wildcards"),
)
"""(key, where it usually lies, kind)."""


def recognised(look: Reading) -> str | None:
    return "Fooocus" if look.has("fooocus_version.py") else None


STYLES = "sdxl_styles"


def read(look: Reading) -> None:
    source = look.root / "config.txt"
    config = look.json(source)
    for key, usual, kind in FOLDERS:
        value = config.get(key)
        named = [
            look.configured(each, look.root, source)
            for each in (value if isinstance(value, list) else [value])
        ]
        # Fooocus takes its usual place where a folder that it names is missing.
        if not [path for path in named if path is not None and look.add(kind, path, source)]:
            look.add_below(look.root, ((usual, kind),))
    if (styles := look.below(look.root, STYLES)) is not None:
        look.add_styles(styles)
