"""What a model file is, told from its header alone: never from its name, and without reading a weight.

The rules are those of the original (LDM) key layout and of diffusers' folders; each stands beside the
key that it looks at. Architectures: sdxl, sdxl-inpaint, sdxl-refiner, sdxl-edit (instruct-pix2pix), ssd-1b,
vega, sdxl-lcm, playground, sd1, sd2, sd3, flux, unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .header import PICKLE_ENDINGS, PICKLE_REASON, Header, read_header
from .layout import configs
from .lorafile import is_lora
from .suggested import said_by_metadata, said_by_scheduler

UNET = "model.diffusion_model."

SUPPORTED = frozenset({"sdxl", "sdxl-inpaint", "sdxl-refiner"})


@dataclass(frozen=True)
class Findings:
    """What is known of a checkpoint. `context` is the width of its cross-attention (0 = not known)."""

    arch: str
    prediction_type: str = "epsilon"
    zero_snr: bool = False
    native_size: int = 1024
    context: int = 0
    clip_layers: int = 12
    extras: dict[str, Any] = field(default_factory=dict)
    """`webbduck.json` of a checkpoint folder: defaults, latent_rgb. `said`: defaults in a file's metadata."""


def architecture(header: Header) -> str:
    """Architecture of a single-file checkpoint in the original layout."""
    keys = header.tensors
    if any(key.startswith(("joint_blocks.0.", UNET + "joint_blocks.0.")) for key in keys):
        return "sd3"
    if any(key.startswith(("double_blocks.0.img_attn", UNET + "double_blocks.0.img_attn")) for key in keys):
        return "flux"
    width = header.width(UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight")
    label = header.width(UNET + "label_emb.0.0.weight")
    only_open_clip = any(key.startswith("conditioner.embedders.0.model.") for key in keys)
    if width == 1280 or (label is not None and only_open_clip) or (width is None and label == 2560):
        return "sdxl-refiner"
    if width == 768 and label is None:
        return "sd1"
    if width == 1024 and label is None:
        return "sd2"
    if label is None or width is None:
        return "unknown"
    # From here on SDXL's own kind: text encoders' pooled output and sizes enter through label_emb.
    if "edm_mean" in keys and "edm_std" in keys:
        return "playground"
    if UNET + "time_embed.cond_proj.weight" in keys:
        return "sdxl-lcm"
    first = keys.get(UNET + "input_blocks.0.0.weight")
    channels = first.shape[1] if first and len(first.shape) == 4 else 4
    if channels == 9:
        return "sdxl-inpaint"
    if channels == 8:
        return "sdxl-edit"
    depth = _depth(keys, re.compile(re.escape(UNET) + r"input_blocks\.[78]\.1\.transformer_blocks\.(\d+)\."))
    return {4: "ssd-1b", 2: "vega"}.get(depth, "sdxl") if width == 2048 else "sdxl"


def _depth(keys: Iterable[str], pattern: re.Pattern[str]) -> int:
    """Highest number that `pattern` finds, plus one; 0 where it finds none."""
    return max((int(found[1]) + 1 for key in keys if (found := pattern.match(key))), default=0)


def prediction_type(header: Header, sidecar: str = "") -> str:
    """'v_prediction' or 'epsilon'. In order: marker tensors, metadata, the text of a sidecar `.yaml`."""
    if "v_pred" in header.tensors:
        return "v_prediction"
    said = header.metadata.get("modelspec.prediction_type", "").strip().lower()
    if said:
        return "v_prediction" if said in ("v", "v_prediction", "v-prediction") else "epsilon"
    found = re.search(r"^\s*parameterization\s*:\s*[\"']?v\b", sidecar, re.MULTILINE)
    return "v_prediction" if found else "epsilon"


def inspect_file(path: Path) -> Findings:
    """A single-file checkpoint. Raises `ModelError` for broken files and for what is no checkpoint."""
    if path.suffix.lower() in PICKLE_ENDINGS:
        raise ModelError(f"{path.name} {PICKLE_REASON}.")
    header = read_header(path)
    arch = architecture(header)
    if arch == "unknown" and is_lora(header):
        raise ModelError(f"{path.name} is a LoRA, not a checkpoint; move it to the lora folder.")
    sidecar = path.with_suffix(".yaml")
    try:
        config = sidecar.read_text("utf-8", "replace")[:100_000] if sidecar.is_file() else ""
    except OSError:
        config = ""
    predicts, zero_snr = prediction_type(header, config), "ztsnr" in header.tensors
    clip_layers = 12
    if arch in SUPPORTED:
        parts = configs(path.name, header, arch, predicts, zero_snr)
        layers = [parts[name]["num_hidden_layers"] for name in parts if name.startswith("text_encoder")]
        clip_layers = min(layers)
    return Findings(
        arch=arch,
        prediction_type=predicts,
        zero_snr=zero_snr,
        clip_layers=clip_layers,
        native_size={"sd1": 512, "sd2": 768}.get(arch, 1024),
        context=header.width(UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight") or 0,
        extras={"said": said} if (said := said_by_metadata(header.metadata)) else {},
    )


# -- diffusers folders -----------------------------------------------------------------------------------

_PARTS = {
    "sdxl": ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"),
    "sdxl-refiner": ("unet", "vae", "text_encoder_2", "tokenizer_2", "scheduler"),
}


def inspect_folder(folder: Path) -> Findings:
    """A checkpoint in diffusers layout. Raises `ModelError` naming what is missing or broken."""
    index = read_json(folder / "model_index.json", folder.name)
    pipeline = str(index.get("_class_name", ""))
    if not (folder / "unet" / "config.json").is_file():
        arch = {"StableDiffusion3Pipeline": "sd3", "FluxPipeline": "flux"}.get(pipeline, "unknown")
        if arch == "unknown":
            raise ModelError(f"{folder.name} has no unet/config.json; copy the checkpoint folder again.")
        return Findings(arch)
    unet = read_json(folder / "unet" / "config.json", folder.name)
    arch = _folder_architecture(unet, index)
    if arch in SUPPORTED:
        for part in _PARTS["sdxl-refiner" if arch == "sdxl-refiner" else "sdxl"]:
            _check_part(folder, part)
    scheduler_file = folder / "scheduler" / "scheduler_config.json"
    scheduler = read_json(scheduler_file, folder.name) if scheduler_file.is_file() else {}
    own = folder / "webbduck.json"
    sample_size = unet.get("sample_size")
    if isinstance(sample_size, list):
        sample_size = max((n for n in sample_size if isinstance(n, int)), default=None)
    context = unet.get("cross_attention_dim")
    return Findings(
        arch=arch,
        prediction_type=str(scheduler.get("prediction_type", "epsilon")),
        zero_snr=scheduler.get("rescale_betas_zero_snr") is True,
        native_size=sample_size * 8 if isinstance(sample_size, int) and sample_size > 0 else 1024,
        context=context if isinstance(context, int) else 0,
        clip_layers=_clip_layers(folder),
        extras=(read_json(own, folder.name) if own.is_file() else {})
        | ({"said": said} if (said := said_by_scheduler(scheduler)) else {}),
    )


def _clip_layers(folder: Path) -> int:
    layers = []
    for part in ("text_encoder", "text_encoder_2"):
        config = folder / part / "config.json"
        if config.is_file():
            layers.append(read_json(config, folder.name).get("num_hidden_layers", 12))
    return min((number for number in layers if isinstance(number, int)), default=12)


def _folder_architecture(unet: dict[str, Any], index: dict[str, Any]) -> str:
    width, channels = unet.get("cross_attention_dim"), unet.get("in_channels", 4)
    if unet.get("addition_embed_type") != "text_time":
        return {768: "sd1", 1024: "sd2"}.get(width if isinstance(width, int) else 0, "unknown")
    has_first_encoder = (index.get("text_encoder") or [None])[0] is not None
    if index.get("requires_aesthetics_score") or not has_first_encoder:
        return "sdxl-refiner"
    if unet.get("time_cond_proj_dim"):
        return "sdxl-lcm"
    if channels in (8, 9):
        return {8: "sdxl-edit", 9: "sdxl-inpaint"}[channels]
    depths = unet.get("transformer_layers_per_block")
    deepest = depths[-1] if isinstance(depths, list) and depths else depths
    if width == 2048:
        return {4: "ssd-1b", 2: "vega"}.get(deepest if isinstance(deepest, int) else 0, "sdxl")
    return "sdxl"


def _check_part(folder: Path, part: str) -> None:
    """Each part needs its configuration and, where it has weights, unbroken safetensors of them."""
    configs = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
    config = configs.get(part.removesuffix("_2"), "config.json")
    if not (folder / part / config).is_file():
        raise ModelError(f"{folder.name} has no {part}/{config}; copy the checkpoint folder again.")
    if part.startswith("tokenizer"):
        # Without these a tokenizer of two words is made, and no prompt means anything.
        whole = (folder / part / "tokenizer.json").is_file()
        if not (whole or all((folder / part / name).is_file() for name in ("vocab.json", "merges.txt"))):
            raise ModelError(f"{folder.name} has no vocabulary in {part}; copy the checkpoint folder again.")
    elif part != "scheduler":
        weights = weight_files(folder / part)
        if not weights:
            pickles = [file.name for file in (folder / part).iterdir() if file.suffix in PICKLE_ENDINGS]
            if pickles:
                raise ModelError(f"{folder.name}/{part}/{pickles[0]} {PICKLE_REASON}.")
            raise ModelError(f"{folder.name} has no weights in {part}; copy the checkpoint folder again.")
        for file in weights:
            read_header(file)


def weight_files(part: Path) -> list[Path]:
    """The safetensors files of a part: the plain ones where there are any, else those of a variant (fp16)."""
    files = sorted(part.glob("*.safetensors"))
    stems = ("model", "diffusion_pytorch_model")
    plain = [
        file for file in files if file.stem in stems or file.stem.startswith(tuple(s + "-0" for s in stems))
    ]
    return plain or [file for file in files if file.stem.startswith(tuple(s + "." for s in stems))]


def variant(folder: Path) -> str | None:
    """'fp16' where the UNet's weights are only there as `*.fp16.safetensors`; None where they are plain."""
    for file in weight_files(folder / "unet"):
        found = re.match(r"diffusion_pytorch_model\.([a-z0-9_]+)(-\d+-of-\d+)?\.safetensors$", file.name)
        if found:
            return found[1]
    return None


def read_json(path: Path, owner: str) -> dict[str, Any]:
    """A JSON object from `path`. Raises `ModelError` that names `owner` and the file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = (error.strerror or error.__class__.__name__).lower()
        raise ModelError(f"{owner}: {path.name} cannot be read ({reason}).") from None
    except (ValueError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ModelError(f"{owner}: {path.name} is not valid JSON{line}.") from None
    if not isinstance(value, dict):
        raise ModelError(f"{owner}: {path.name} must hold a table in braces.")
    return value
