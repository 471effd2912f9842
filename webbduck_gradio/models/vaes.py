"""VAEs of their own, in `checkpoint/vae`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..settings import Settings
from .probe.checkpoint import read_json, weight_files
from .probe.safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .scan import candidates, is_text


@dataclass(frozen=True)
class Vae:
    """`unusable`: the reason in one sentence, None for a sound one."""

    name: str
    path: Path
    size_bytes: int
    latent_channels: int
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
