"""Probes checkpoints by their headers and configurations, never by name and without reading weights.

Supports the original (LDM) key layout and diffusers folders. Architectures: sdxl, sdxl-inpaint, sdxl-refiner,
sdxl-edit (instruct-pix2pix), ssd-1b, vega, sdxl-lcm (CFG is an input of its UNet), playground, sd1, sd2, sd3,
flux, unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...storage.reading import read_regular
from ..catalog.recommended_settings import defaults_from_metadata, defaults_from_scheduler
from ..distilled import by_scheduler, in_metadata
from . import completeness, fragments, prediction, weight_formats
from .converted import source_in
from .detect import UNET, architecture, context_width, is_lora
from .expected_tensors import SHORT_MIDDLE
from .folder_files import read_json, variant, weight_files
from .safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, read_header
from .single_file_config import OVERRIDES, PARTS, configs, prefixes

__all__ = [
    "CheckpointInfo",
    "inspect_file",
    "inspect_folder",
    "read_json",
    "variant",
    "weight_files",
]

SUPPORTED = frozenset({"sdxl", "sdxl-inpaint", "sdxl-refiner", "sdxl-lcm", "ssd-1b", "vega"})


@dataclass(frozen=True)
class CheckpointInfo:
    """Facts about a checkpoint. `context` is the width of its cross-attention (0: unknown)."""

    arch: str
    prediction_type: str = "epsilon"
    zero_snr: bool = False
    native_size: int = 1024
    context: int = 0
    clip_layers: int = 12
    numbers: int = 0
    """Number of parameters, from which memory use is estimated (0: unknown)."""
    stored: str = ""
    """Data type of the UNet's weights, as named by safetensors; "" if mixed."""
    notes: tuple[str, ...] = ()
    """Warnings for users of the checkpoint."""
    dress: tuple[str, ...] = ()
    """The form in which it comes, in phrases: the format of its weights, and what is left out."""
    has_vae: bool = True
    """False: it draws only with a VAE of its own that the request names."""
    extras: dict[str, Any] = field(default_factory=dict)
    """`webbduck.json` of a checkpoint folder: defaults, largest, largest_redrawn, latent_rgb, vocabulary.
    `said`: defaults in a file's metadata. `distilled`: fields of `Distilled` by metadata or scheduler.
    `converted_from`: name of the pickle that a file was made from."""


def inspect_file(path: Path) -> CheckpointInfo:
    """Probe a single-file checkpoint. Raises `ModelError` for broken files, for files that are not
    checkpoints, and for checkpoints that would not give the intended images."""
    if path.suffix.lower() in PICKLE_ENDINGS:
        raise ModelError(f"{path.name} {PICKLE_REASON}.")
    header = read_header(path)
    arch = architecture(header)
    if arch == "unknown" and is_lora(header):
        raise ModelError(f"{path.name} is a LoRA, not a checkpoint; move it to the lora folder.")
    if arch == "unknown" and (what := fragments.what_it_is(header.tensors)):
        raise ModelError(f"{path.name} {what}.")
    size = {"sd1": 512, "sd2": 768}.get(arch, 1024)
    context = context_width(header) or 0
    extras: dict[str, Any] = {"said": said} if (said := defaults_from_metadata(header.metadata)) else {}
    extras |= {"distilled": found} if (found := in_metadata(header.metadata, "checkpoint")) else {}
    extras |= {"converted_from": source} if (source := source_in(header.metadata)) else {}
    refiner = arch == "sdxl-refiner"
    starts = {prefix: PARTS[part] for part, prefix in prefixes(refiner).items()}
    if arch not in SUPPORTED:
        if arch == "unknown" and any(key.startswith(UNET) for key in header.tensors):
            weight_formats.check(path.name, header, starts)  # shapes of packed weights reveal nothing
        return CheckpointInfo(arch, native_size=size, context=context, extras=extras)
    if header.odd:
        raise ModelError(
            f"{path.name} has metadata that is not text ({header.odd[0][:60]}), which the "
            "safetensors format forbids; get another version of it."
        )
    predicts = prediction.of_file(path.name, header, _sidecar(path))
    scales = weight_formats.check(path.name, header, starts)
    of_table = ("checkpoint", arch, predicts.kind, predicts.zero_snr, header.metadata.get(OVERRIDES))
    checked = header.derived.get(of_table)
    if checked is None:
        parts = configs(path.name, header, arch, predicts.kind, predicts.zero_snr)
        checked = parts, completeness.check_file(path.name, header, parts, scales)
        if not checked[1].notes:  # which name the file
            header.derived[of_table] = checked
    parts, whole = checked
    layers = [parts[name]["num_hidden_layers"] for name in parts if name.startswith("text_encoder")]
    return CheckpointInfo(
        arch=arch,
        prediction_type=predicts.kind,
        zero_snr=predicts.zero_snr,
        clip_layers=min(layers),
        native_size=size,
        context=context,
        numbers=whole.numbers,
        stored=_stored(whole.stored),
        notes=(*predicts.notes, *whole.notes),
        dress=whole.dress,
        has_vae="vae" in parts,
        extras=extras,
    )


def _sidecar(path: Path) -> str:
    """The text of the `.yaml` file of the same name, or ""."""
    sidecar = path.with_suffix(".yaml")
    try:
        return read_regular(sidecar).decode("utf-8", "replace")[:100_000] if sidecar.is_file() else ""
    except (OSError, ValueError):
        return ""


def _stored(dtypes: Iterable[str]) -> str:
    found = {*dtypes}
    return found.pop() if len(found) == 1 else ""


# -- diffusers folders -----------------------------------------------------------------------------------

_PARTS = {
    "sdxl": ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"),
    "sdxl-refiner": ("unet", "vae", "text_encoder_2", "tokenizer_2", "scheduler"),
}


def inspect_folder(folder: Path) -> CheckpointInfo:
    """Probe a diffusers folder. Raises `ModelError` naming what is missing, broken or unsupported."""
    index = read_json(folder / "model_index.json", folder.name)
    pipeline = str(index.get("_class_name", ""))
    if not (folder / "unet" / "config.json").is_file():
        arch = {"StableDiffusion3Pipeline": "sd3", "FluxPipeline": "flux"}.get(pipeline, "unknown")
        if arch == "unknown":
            raise ModelError(f"{folder.name} has no unet/config.json; copy the checkpoint folder again.")
        return CheckpointInfo(arch)
    unet = read_json(folder / "unet" / "config.json", folder.name)
    arch = folder_architecture(unet, index)
    defaults_file = folder / "webbduck.json"
    extras = read_json(defaults_file, folder.name) if defaults_file.is_file() else {}
    sample_size = unet.get("sample_size")
    if isinstance(sample_size, list):
        sample_size = max((n for n in sample_size if isinstance(n, int)), default=None)
    size = sample_size * 8 if isinstance(sample_size, int) and sample_size > 0 else 1024
    context = unet.get("cross_attention_dim")
    context = context if isinstance(context, int) else 0
    if arch not in SUPPORTED:
        return CheckpointInfo(arch, native_size=size, context=context, extras=extras)
    if pipeline and not pipeline.startswith("StableDiffusionXL"):
        raise ModelError(f"{folder.name} is for {pipeline}, not for SDXL; choose an SDXL checkpoint.")
    refiner = arch == "sdxl-refiner"
    has_vae = not completeness.lacks_vae(folder)
    for part in _PARTS["sdxl-refiner" if refiner else "sdxl"]:
        if part != "vae" or has_vae:
            _check_part(folder, part)
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json", folder.name)
    predicts = prediction.of_folder(folder.name, scheduler)
    whole = completeness.check_folder(folder, refiner)
    return CheckpointInfo(
        arch=arch,
        prediction_type=predicts.kind,
        zero_snr=predicts.zero_snr,
        native_size=size,
        context=context,
        clip_layers=_clip_layers(folder),
        numbers=whole.numbers,
        stored=_stored(whole.stored),
        notes=(*predicts.notes, *whole.notes),
        dress=whole.dress,
        has_vae=has_vae,
        extras=extras
        | ({"said": said} if (said := defaults_from_scheduler(scheduler)) else {})
        | {"distilled": asdict(found) if (found := by_scheduler(scheduler)) else None},
    )


def _clip_layers(folder: Path) -> int:
    layers = []
    for part in ("text_encoder", "text_encoder_2"):
        config = folder / part / "config.json"
        if config.is_file():
            layers.append(read_json(config, folder.name).get("num_hidden_layers", 12))
    return min((number for number in layers if isinstance(number, int)), default=12)


def folder_architecture(unet: dict[str, Any], index: dict[str, Any]) -> str:
    """From unet/config.json and model_index.json."""
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
    deepest = unet.get("transformer_layers_per_block")
    while isinstance(deepest, list) and deepest:  # by level, or by level and layer
        deepest = deepest[-1]
    if width == 2048 or unet.get("mid_block_type") == SHORT_MIDDLE:
        return {4: "ssd-1b", 2: "vega"}.get(deepest if isinstance(deepest, int) else 0, "sdxl")
    return "sdxl"


def _check_part(folder: Path, part: str) -> None:
    """Each part needs its configuration; tokenizers also need a vocabulary."""
    configs = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
    config = configs.get(part.removesuffix("_2"), "config.json")
    if not (folder / part / config).is_file():
        raise ModelError(f"{folder.name} has no {part}/{config}; copy the checkpoint folder again.")
    if part.startswith("tokenizer"):
        # Without it, transformers would silently create a tokenizer with two tokens.
        whole = (folder / part / "tokenizer.json").is_file()
        if not (whole or all((folder / part / name).is_file() for name in ("vocab.json", "merges.txt"))):
            raise ModelError(f"{folder.name} has no vocabulary in {part}; copy the checkpoint folder again.")
