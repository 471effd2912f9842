"""Loads a VAE of its own, in place of a checkpoint's."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from ..errors import ModelError, WebbDuckError
from ..models.probe.folder_files import weights_of
from ..models.probe.vae import probe_file
from ..models.vaes import Vae
from . import devices
from .load_errors import unreadable

log = logging.getLogger(__name__)

OF_THE_CHECKPOINT = ("scaling_factor", "latents_mean", "latents_std")
"""What the UNet was trained with, whatever another VAE's file says."""


def read(vae: Vae, dtype: torch.dtype, own: Any) -> Any:
    """The VAE on the CPU, its weights in `dtype`. `own`: the checkpoint's, whose latents it shares.

    Raises `ModelError`; out-of-memory errors, and those that stop the loading, are passed on unchanged.
    """
    usual = torch.get_default_dtype()
    try:
        model = (_from_folder if vae.layout == "diffusers" else _from_file)(vae.path, dtype)
        model.eval().requires_grad_(False)
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        log.exception("Loading %s failed", vae.path)
        reason = unreadable(error, vae.path) or "the log has the details"
        raise ModelError(f"The VAE {vae.name} could not be loaded ({reason}); copy it again.") from None
    finally:
        torch.set_default_dtype(usual)  # diffusers changes it, and leaves it changed after an error
    if own.config.scaling_factor is not None:  # else it has no VAE, and says nothing about its latents
        model.register_to_config(**{key: own.config.get(key) for key in OF_THE_CHECKPOINT})
    return model


def stand_in(said: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """A small model in the place of a VAE that is missing, so that all pipelines have the same parts;
    `job_vae.JobVae` has another one used. `said`: what the checkpoint says of its latents."""
    return AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        **{"scaling_factor": None} | {key: said[key] for key in OF_THE_CHECKPOINT if key in said},
    ).to(dtype)


def _from_folder(folder: Path, dtype: torch.dtype) -> Any:
    return AutoencoderKL.from_pretrained(
        folder,
        dtype=dtype,
        variant=weights_of(folder, folder.parent.name).variant,
        local_files_only=True,
        use_safetensors=True,
    )


def _from_file(path: Path, dtype: torch.dtype) -> Any:
    known = probe_file(path)
    tensors = load_file(path)
    with tempfile.TemporaryDirectory(prefix="webbduck-") as folder:
        Path(folder, "config.json").write_text(json.dumps(known.config), "utf-8")
        return AutoencoderKL.from_single_file(
            {name: tensors[key] for key, name in known.names.items()},
            config=folder,
            dtype=dtype,
            local_files_only=True,
        )
