"""What else lies in the model folders: VAEs and lists of wildcards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..settings import Settings
from ..storage.reading import read_regular
from .probe.checkpoint import read_json, weight_files
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .scan import candidates, is_text


@dataclass(frozen=True)
class Vae:
    """A VAE of its own in `checkpoint/vae`. `unusable`: the reason in one sentence, None for a sound one."""

    name: str
    path: Path
    size_bytes: int
    latent_channels: int
    unusable: str | None


@dataclass(frozen=True)
class Wildcard:
    """A text file in `wildcards`, one choice in a line; comments begin with #."""

    name: str
    path: Path
    lines: int
    unusable: str | None


def find_vaes(settings: Settings) -> tuple[Vae, ...]:
    root = settings.checkpoints / "vae"
    found = []
    for each in candidates(root, folders=False):
        if each.path.parent != root and (each.path.parent / "config.json").is_file():
            continue  # a folder in diffusers layout, below
        found.append(_vae(each.name, each.path, each.size))
    for config in sorted(root.glob("*/config.json")):
        if not is_text(config.parent.name):
            continue
        found.append(_vae_folder(config.parent))
    return tuple(found)


def _vae(name: str, path: Path, size: int) -> Vae:
    if path.suffix.lower() in PICKLE_ENDINGS:
        return Vae(name, path, size, 0, f"{path.name} {PICKLE_REASON}.")
    try:
        tensors = read_header(path).tensors
    except ModelError as error:
        return Vae(name, path, size, 0, str(error))
    for key in ("first_stage_model.decoder.conv_in.weight", "decoder.conv_in.weight"):
        tensor = tensors.get(key)
        if tensor is not None and len(tensor.shape) == 4:
            return Vae(name, path, size, tensor.shape[1], None)
    return Vae(name, path, size, 0, f"{path.name} is no VAE; move it to the folder for its kind.")


def _vae_folder(folder: Path) -> Vae:
    files = weight_files(folder)
    size = sum(file.stat().st_size for file in files)
    try:
        config = read_json(folder / "config.json", folder.name)
        if not files:
            raise ModelError(f"{folder.name} has no safetensors weights; copy the folder again.")
        for file in files:
            read_header(file)
    except ModelError as error:
        return Vae(folder.name, folder, size, 0, str(error))
    channels = config.get("latent_channels", 4)
    return Vae(folder.name, folder, size, channels if isinstance(channels, int) else 0, None)


def find_wildcards(settings: Settings) -> tuple[Wildcard, ...]:
    """By their path below `wildcards`, without `.txt`."""
    root = settings.wildcards
    found = []
    for path in sorted(root.rglob("*.txt")):
        name = path.relative_to(root).as_posix().removesuffix(".txt")
        if not is_text(name):
            continue
        try:
            lines = read_regular(path).decode("utf-8-sig").splitlines()
        except (OSError, ValueError):
            found.append(Wildcard(name, path, 0, f"{path.name} cannot be read as text; save it as UTF-8."))
            continue
        told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        found.append(Wildcard(name, path, len(told), None))
    return tuple(found)
