"""Folders of SwarmUI: its Models/, or those that Data/Settings.fds names.

Settings.fds is Frenetic Data Syntax: `key: value` by indentation, with `\\s` for a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .folders import Kind
from .reading import Reading

FOLDERS: tuple[tuple[str, tuple[str, ...], Kind], ...] = (
    ("SDModelFolder", ("Stable-Diffusion", "checkpoints"), "checkpoint"),
    ("SDLoraFolder", ("Lora", "LyCORIS"), "lora"),
    ("SDVAEFolder", ("VAE",), "vae"),
    ("SDEmbeddingFolder", ("Embeddings",), "embedding"),
    ("SDControlNetsFolder", ("controlnet",), "controlnet"),
    ("", ("upscale_models",), "upscale"),
    ("", ("yolov8",), "detect"),
)
"""(key, usual names below a root of models, kind)."""


def recognised(look: Reading) -> str | None:
    is_program = look.has("SwarmUI.sln") or look.has("src/SwarmUI.csproj") or look.has("Data/Settings.fds")
    return "SwarmUI" if is_program else None


def read(look: Reading) -> None:
    source = look.below(look.root, "Data/Settings.fds") or look.root / "Data" / "Settings.fds"
    paths = _paths(look.text(source) or "")
    for root in paths.get("ModelRoot", "Models").split(";"):
        models = look.configured(root, look.root, source)
        if models is None or not ("ModelRoot" not in paths or look.is_there(models, source)):
            continue
        models = look.below(models.parent, models.name) or models
        for key, usual, kind in FOLDERS:
            if key in paths:
                for name in filter(None, map(str.strip, paths[key].split(";"))):
                    path = look.configured(name, models, source)
                    if path is not None:
                        look.add(kind, look.below(path.parent, path.name) or path)
            else:
                look.add_below(models, ((name, kind) for name in usual))
    data = look.configured(paths.get("DataPath", "Data"), look.root, source)
    if data is not None:
        wildcards = look.configured(paths.get("WildcardsFolder", "Wildcards"), data, source)
        if wildcards is not None:
            look.add("wildcards", wildcards)


def _paths(text: str) -> Mapping[str, str]:
    """The values of the section `Paths`."""
    found: dict[str, str] = {}
    section = ""
    for line in text.replace("\t", "    ").splitlines():
        name, colon, value = line.strip().partition(":")
        if not colon or name.startswith(("#", "-")):
            continue
        if not line.startswith(" "):
            section = name
        elif section == "Paths":
            found[name] = _unescaped(value.strip())
    return {name: value for name, value in found.items() if value}


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\([stnrx])", lambda each: {"s": "\\", "t": "\t", "n": "\n", "r": "\r", "x": ""}[each[1]], text
    )
