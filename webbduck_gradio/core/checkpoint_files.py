"""Loads a checkpoint's local files, whose headers were checked before, into a pipeline."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from ..errors import ModelError, WebbDuckError
from ..models.catalog.entries import Checkpoint
from ..models.probe import original_names
from ..models.probe.folder_files import variant
from ..models.probe.safetensors_header import read_header
from ..models.probe.single_file_config import (
    PARTS,
    PROJECTION,
    PROJECTION_TRANSPOSED,
    Config,
    config_overrides,
    configs,
    open_clip_prefix,
    prefixes,
)
from ..models.probe.weight_formats import Scale, check, is_helper
from . import devices, vae_files
from .load_errors import unreadable

log = logging.getLogger(__name__)

CLASSES: dict[str, Any] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}


def read(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    """The checkpoint's pipeline on the CPU, its weights in `dtype`.

    Raises `ModelError`; out-of-memory errors, and those that stop the loading, are passed on unchanged.
    """
    refiner = checkpoint.arch == "sdxl-refiner"
    kind = StableDiffusionXLImg2ImgPipeline if refiner else StableDiffusionXLPipeline
    usual = torch.get_default_dtype()
    try:
        of = _from_file if checkpoint.layout == "single_file" else _from_folder
        pipe = of(checkpoint, kind, dtype)
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module):
                _check_complete(checkpoint, name, part)
                # Nothing is trained, and with gradients some layers' last bit differs.
                part.eval().requires_grad_(False)
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        log.exception("Loading %s failed", checkpoint.path)
        if reason := unreadable(error, checkpoint.path):
            raise ModelError(
                f"{checkpoint.name} cannot be read ({reason}); check that it still exists and is readable."
            ) from None
        raise ModelError(
            f"{checkpoint.name} could not be loaded although its headers are valid; the log has the details. "
            "Copy the checkpoint again."
        ) from None
    finally:
        torch.set_default_dtype(usual)  # diffusers changes it, and leaves it changed after an error
    return pipe


def _check_complete(checkpoint: Checkpoint, name: str, part: torch.nn.Module) -> None:
    """Raises `ModelError` if a parameter got no weights from the file."""
    empty = [key for key, each in part.named_parameters() if each.is_meta]
    if empty:
        raise ModelError(
            f"{checkpoint.name} is incomplete: its {PARTS.get(name, name)} lacks {empty[0]}; "
            "copy the checkpoint again."
        )


def _from_folder(checkpoint: Checkpoint, kind: Any, dtype: torch.dtype) -> Any:
    """A folder in diffusers layout; each part in the variant (fp16 ...) that exists."""
    parts = {}
    for part in prefixes(checkpoint.arch == "sdxl-refiner"):
        if part == "vae" and not checkpoint.has_vae:
            parts[part] = vae_files.stand_in({}, dtype)
            continue
        parts[part] = CLASSES[part].from_pretrained(
            checkpoint.path / part,
            dtype=dtype,
            variant=variant(checkpoint.path, part),
            local_files_only=True,
            use_safetensors=True,
        )
    return kind.from_pretrained(
        checkpoint.path, **parts, dtype=dtype, local_files_only=True, add_watermarker=False
    )


def _from_file(checkpoint: Checkpoint, kind: Any, dtype: torch.dtype) -> Any:
    """A file in the original layout. Its configuration is derived from the header, so nothing is downloaded;
    without a conversion of precision the weights stay mapped from the file until they are used."""
    header = read_header(checkpoint.path)
    refiner = checkpoint.arch == "sdxl-refiner"
    starts = prefixes(refiner)
    parts = configs(checkpoint.name, header, checkpoint.arch, checkpoint.prediction_type, checkpoint.zero_snr)
    scales = check(checkpoint.name, header, {prefix: PARTS[part] for part, prefix in starts.items()})
    tensors = load_file(checkpoint.path)
    transposed = open_clip_prefix(refiner) + PROJECTION_TRANSPOSED
    if transposed in tensors:
        tensors[open_clip_prefix(refiner) + PROJECTION] = tensors.pop(transposed).T
    components: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="webbduck-") as folder:
        for part, prefix in starts.items():
            if part not in parts:
                components[part] = vae_files.stand_in(config_overrides(header).get(part, {}), dtype)
                continue
            path = Path(folder, part, "config.json")
            path.parent.mkdir()
            path.write_text(json.dumps(parts[part]), "utf-8")
            own = {
                key: _unscaled(tensors, key, scales, dtype)
                for key in tensors
                if key.startswith(prefix) and not is_helper(key)
            }
            if part == "unet":
                components[part] = _unet(own, parts[part], prefix, dtype)
            else:
                components[part] = _part(part, own, folder, dtype)
    index = parts["model_index"]
    settings = {"requires_aesthetics_score": True} if refiner else {}
    return kind(
        **{"text_encoder": None, **components},
        tokenizer=None,
        tokenizer_2=None,
        scheduler=EulerDiscreteScheduler.from_config(parts["scheduler"]),
        force_zeros_for_empty_prompt=index["force_zeros_for_empty_prompt"],
        add_watermarker=False,
        **settings,
    )


def _unet(tensors: Mapping[str, torch.Tensor], config: Config, prefix: str, dtype: torch.dtype) -> Any:
    """Not by diffusers' conversion, which leaves out an input for CFG. `tensors`: by their names in the file,
    which begin with `prefix`."""
    with init_empty_weights():
        unet: Any = UNet2DConditionModel.from_config(config)
    names = original_names.unet_names(unet.state_dict(), config)
    weights = {name: tensors[prefix + original].to(dtype) for name, original in names.items()}
    unet.load_state_dict(weights, assign=True)
    return unet


def _part(part: str, tensors: dict[str, torch.Tensor], folder: str, dtype: torch.dtype) -> Any:
    """`tensors`: this part's, by their names in the file; `folder`: contains PART/config.json."""
    if part.startswith("text_encoder"):
        return create_diffusers_clip_model_from_ldm(
            CLASSES[part],
            tensors,
            subfolder=part,
            config=folder,
            torch_dtype=dtype,
            local_files_only=True,
        )
    return CLASSES[part].from_single_file(
        tensors, config=folder, subfolder=part, dtype=dtype, local_files_only=True
    )


def _unscaled(
    tensors: Mapping[str, torch.Tensor], key: str, scales: Mapping[str, Scale], dtype: torch.dtype
) -> torch.Tensor:
    """The weights of a scaled tensor: stored x scale, computed in float32."""
    stored = tensors[key]
    if key not in scales:
        return stored
    scale = tensors[scales[key].key].float()
    scale = scale.reshape(*scale.shape, *((1,) * (stored.ndim - scale.ndim)))
    for axis, block in enumerate(scales[key].blocks):
        if scale.shape[axis] not in (1, stored.shape[axis]):
            scale = scale.repeat_interleave(block, axis).narrow(axis, 0, stored.shape[axis])
    return (stored.float() * scale).to(dtype)
