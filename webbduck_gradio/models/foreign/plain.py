"""A folder of models that no program laid out, told by the names of its folders.

Where no name tells, the folder is read as checkpoints and as LoRAs, and each file's header says which it is.
"""

from __future__ import annotations

import os
import re

from ..scan import ENDINGS
from .folders import Kind
from .reading import Reading

NAMES: dict[str, Kind] = {
    "checkpoint": "checkpoint",
    "ckpt": "checkpoint",
    "stablediffusion": "checkpoint",
    "diffuser": "checkpoint",
    "lora": "lora",
    "locon": "lora",
    "lycori": "lora",
    "vae": "vae",
    "embedding": "embedding",
    "textualinversion": "embedding",
    "upscale": "upscale",
    "upscaler": "upscale",
    "upscalemodel": "upscale",
    "esrgan": "upscale",
    "realesrgan": "upscale",
    "swinir": "upscale",
    "dat": "upscale",
    "hat": "upscale",
    "controlnet": "controlnet",
    "adetailer": "detect",
    "afterdetailer": "detect",
    "ultralytic": "detect",
    "wildcard": "wildcards",
}
"""By the folder's name in lower case, letters alone, without the plural's s."""
PARTS = frozenset({"unet", "diffusionmodel", "clip", "clipvision", "textencoder", "hypernetwork"})
"""Folders of parts of checkpoints, by the same names."""


def read(look: Reading) -> None:
    own_kind = NAMES.get(_plain(look.root.name))
    if own_kind is not None:
        look.add(own_kind, look.root)
        return
    known: set[str] = set()
    for folder in filter(None, (look.root, look.below(look.root, "models"))):
        for name in look.names(folder):
            plain = _plain(name)
            if plain in NAMES and look.add(NAMES[plain], folder / name):
                known.add(name if folder == look.root else folder.name)
            elif plain in PARTS and folder == look.root:
                known.add(name)
    has_files = any(os.path.splitext(name)[1].lower() in ENDINGS for name in look.names(look.root))
    if has_files or not look.found:
        look.add("checkpoint", look.root, skip=frozenset(known))
        look.add("lora", look.root, skip=frozenset(known))
    for name in look.names(look.root):
        if re.fullmatch(r"styles(?:_.*)?\.csv", name, re.IGNORECASE):
            look.add("styles", look.root / name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold()).removesuffix("s")
