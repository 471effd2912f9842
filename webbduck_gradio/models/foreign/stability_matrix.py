"""Folders of StabilityMatrix: its library's Models/, which the programs that it installs share.

The library is Data/ beside the portable program, or wherever its settings.json lies with Packages/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .folders import Kind
from .reading import Reading

MODELS: tuple[tuple[str, Kind], ...] = (
    ("StableDiffusion", "checkpoint"),
    ("Diffusers", "checkpoint"),
    ("Lora", "lora"),
    ("LyCORIS", "lora"),
    ("VAE", "vae"),
    ("Embeddings", "embedding"),
    ("TextualInversion", "embedding"),
    ("ESRGAN", "upscale"),
    ("RealESRGAN", "upscale"),
    ("SwinIR", "upscale"),
    ("ControlNet", "controlnet"),
    ("Ultralytics", "detect"),
    ("AfterDetailer", "detect"),
)


def recognised(look: Reading) -> str | None:
    return "StabilityMatrix" if _library(look) is not None else None


def read(look: Reading) -> None:
    library = _library(look) or look.root
    source = library / "settings.json"
    override = look.json(source).get("ModelDirectoryOverride")
    models = look.configured(override, library, source) if override else look.below(library, "Models")
    if models is not None and (not override or look.is_there(models, source)):
        look.add_below(models, MODELS)


def packages(look: Reading) -> Iterator[Path]:
    """Folders of the programs that it installed."""
    folder = look.below(_library(look) or look.root, "Packages")
    if folder is not None:
        yield from (folder / name for name in look.names(folder))


def _library(look: Reading) -> Path | None:
    for folder in (look.root, look.root / "Data"):
        is_portable = look.is_file(folder / ".sm-portable")
        if is_portable and folder == look.root and look.is_folder(folder / "Data"):
            return folder / "Data"  # as older versions mark it
        if is_portable or (look.is_file(folder / "settings.json") and look.is_folder(folder / "Packages")):
            return folder
    return None
