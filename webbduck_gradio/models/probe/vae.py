"""What a VAE of its own is: its configuration and the names of its tensors, from headers alone.

A file has the names of the original releases, with or without the checkpoint's prefix, or those of diffusers.
VAEs of SD 1.5 and of SDXL have the same tensors: only what is written beside them tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ModelError
from . import expected_tensors, original_names, weight_formats
from .completeness import compare, current_vae_name
from .dress import without_effect
from .folder_files import read_json, weights_of
from .safetensors_header import Header, Tensor, read_header
from .single_file_config import PARTS, UNET, VAE, Config, config_overrides, vae

LATENT_CHANNELS = 4
LEVELS = 4
"""Each but the last halves the sides, so that a latent covers 8 x 8 pixels."""
SD1_SCALE = 0.18215
"""`scaling_factor` in the configurations of SD 1.x and 2.x."""
_SD1_NAMES = re.compile(r"vae-ft-(?:mse|ema)|kl-f8|840000|560000", re.IGNORECASE)
_SD1_ARCHITECTURE = re.compile(r"^stable-diffusion-v[12]")
_DIFFUSERS = re.compile(r"^(?:en|de)coder\.(?:down_blocks|up_blocks|mid_block)\.")
_PREFIXES = (VAE, "vae.")


@dataclass(frozen=True)
class VaeInfo:
    """`config`: as diffusers has it. `names`: in a single file, each tensor's name in the original layout, by
    its name in the file; {} for a folder."""

    config: Config
    names: Mapping[str, str] = field(default_factory=dict)


def probe_file(path: Path) -> VaeInfo:
    """What a single file holds. Raises `ModelError` with a sentence where no SDXL checkpoint can use it."""
    header = read_header(path)
    if any(key.startswith(UNET) for key in header.tensors):
        raise ModelError(f"{path.name} is a whole checkpoint; move it to the folder for its kind.")
    bare = {key: _bare(key) for key in header.tensors}
    if not any(key.startswith("decoder.conv_in.") for key in bare.values()):
        raise ModelError(f"{path.name} is no VAE; move it to the folder for its kind.")
    _check_kind(path.name, header.tensors[next(k for k in bare if bare[k].startswith("decoder.conv_in."))])
    if _SD1_NAMES.search(path.stem) or _SD1_ARCHITECTURE.search(
        header.metadata.get("modelspec.architecture", "").strip().lower()
    ):
        raise _made_for_sd1(path.name)
    names = {key: VAE + _original(name, bare) for key, name in bare.items() if not without_effect(VAE + name)}
    tensors = {name: header.tensors[key] for key, name in names.items()}
    if weight_formats.check(path.name, Header(tensors, header.metadata), {VAE: PARTS["vae"]}):
        raise weight_formats.refused(path.name, "scaled float8")
    config = vae(Header(tensors)) | config_overrides(header).get("vae", {})
    wanted = {VAE + key: shape for key, shape in _shapes(path.name, config, is_file=True).items()}
    _check_tensors(path.name, wanted, tensors)
    return VaeInfo(config, {key: name for key, name in names.items() if name in wanted})


def probe_folder(folder: Path) -> VaeInfo:
    """What a folder in diffusers layout holds. Raises `ModelError`, as `probe_file`."""
    name = folder.name
    config = read_json(folder / "config.json", name)
    tensors: dict[str, Tensor] = {}
    for file in weights_of(folder, folder.parent.name).files:
        header = read_header(file)
        tensors |= {current_vae_name(key): each for key, each in header.tensors.items()}
    wanted = _shapes(name, config, is_file=False)
    _check_kind(name, tensors.get("decoder.conv_in.weight"))
    scale = config.get("scaling_factor")
    if isinstance(scale, float) and abs(scale - SD1_SCALE) < 1e-6:
        raise _made_for_sd1(name)
    if weight_formats.check(name, Header(tensors), {"": PARTS["vae"]}):
        raise weight_formats.refused(name, "scaled float8")
    _check_tensors(
        name, wanted, {key: each for key, each in tensors.items() if not without_effect(VAE + key)}
    )
    return VaeInfo(config)


def _bare(key: str) -> str:
    return next((key.removeprefix(each) for each in _PREFIXES if key.startswith(each)), key)


def _original(name: str, bare: Mapping[str, str]) -> str:
    """A tensor's name in the original layout."""
    if not any(map(_DIFFUSERS.match, bare.values())):
        return name
    levels = {key.split(".")[2] for key in bare.values() if key.startswith("encoder.down_blocks.")}
    return original_names.vae_name(current_vae_name(name), len(levels) - 1)


def _check_kind(name: str, conv_in: Tensor | None) -> None:
    """`conv_in`: the decoder's first weights, whose inputs are the latents."""
    channels = conv_in.shape[1] if conv_in is not None and len(conv_in.shape) == 4 else LATENT_CHANNELS
    if channels == 16:
        raise ModelError(f"{name} is made for Flux or SD 3 (16 latent channels); choose a VAE for SDXL.")
    if channels != LATENT_CHANNELS:
        raise ModelError(f"{name} has {channels} latent channels, SDXL's VAEs have 4; choose one for SDXL.")


def _made_for_sd1(name: str) -> ModelError:
    return ModelError(f"{name} is made for SD 1.5; choose a VAE for SDXL.")


def _shapes(name: str, config: Mapping[str, Any], *, is_file: bool) -> expected_tensors.Shapes:
    try:
        if config.get("shift_factor"):
            raise expected_tensors.UnbuildableError("it has a shift_factor, which SDXL's has not")
        shapes = expected_tensors.vae(dict(config))
        if len(config["block_out_channels"]) != LEVELS:
            raise expected_tensors.UnbuildableError("its latents do not cover 8 x 8 pixels each")
        return original_names.vae(shapes, config) if is_file else shapes
    except expected_tensors.UnbuildableError as error:
        raise ModelError(f"{name} cannot be loaded: {error}; choose a VAE for SDXL.") from None


def _check_tensors(name: str, wanted: expected_tensors.Shapes, found: Mapping[str, Tensor]) -> None:
    compare(name, PARTS["vae"], wanted, found)
    unknown = next((key for key in found if key not in wanted and not weight_formats.is_helper(key)), None)
    if unknown is not None:
        raise ModelError(
            f"{name} is of a kind that is not known: it has {unknown}, which SDXL's VAE has not; choose a "
            "VAE for SDXL."
        )
