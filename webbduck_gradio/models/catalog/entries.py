"""Catalog entries, merged from probe results, sidecar files and the user's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ...request.base import MAX_SIDE, MIN_SIDE
from ..distilled import FULL_LCM, Distilled, by_name, remembered
from ..probe.checkpoint import SUPPORTED, CheckpointInfo
from ..probe.lora import NAMES, LoraInfo
from ..probe.single_file_config import CUT_DEPTHS
from ..scan import Candidate
from ..triggers import phrase
from ..vocabulary import Vocabulary, vocabulary_in
from .defaults import Defaults, number, text, texts, with_defaults

LARGE = 2**30
"""Bytes in half precision from which a checkpoint is large: SDXL takes 7 GB, the bundled starter 28 MB."""


@dataclass(frozen=True)
class Checkpoint:
    """An installed checkpoint. `unusable`: None, or the reason in one sentence."""

    name: str
    path: Path
    layout: Literal["diffusers", "single_file"]
    arch: str
    prediction_type: str
    native_size: int
    size_bytes: int
    modified: float
    defaults: Defaults
    unusable: str | None
    zero_snr: bool = False
    context: int = 0
    """Width of the cross-attention, which a LoRA must match; 0: unknown."""
    clip_layers: int = 12
    """Minimum number of layers of its text encoders."""
    latent_rgb: tuple[tuple[float, ...], ...] | None = None
    """Four rows of three factors and one row of bias; None: SDXL's."""
    suggested: Defaults | None = None
    """The defaults without the user's settings in models.json."""
    stamp: str = ""
    hash: str | None = field(default=None, compare=False)
    """AutoV2 of a file, once computed; None for folders."""
    hashes: tuple[str, ...] = field(default=(), compare=False)
    """SHA-256 of the file and of its weights, as soon as they have been computed."""
    from_hub: bool = False
    file_bytes: int = 0
    """Bytes on disk; `size_bytes` is the size of all parameters in half precision."""
    stored: str = ""
    """Data type of the UNet's weights, as named by safetensors; "" if mixed."""
    notes: tuple[str, ...] = ()
    """Warnings for users of the checkpoint."""
    dress: tuple[str, ...] = ()
    """The form in which it comes, in phrases: the format of its weights, and what is left out."""
    has_vae: bool = True
    """False: it draws only with a VAE that the request, or its defaults, name."""
    vocabulary: Vocabulary | None = None
    """The words that it knows; None: not listed, as for most."""
    largest: int | None = None
    """Side in pixels of the largest square that it draws well; None: not known."""
    largest_redrawn: int | None = None
    """The same for a picture that is drawn over, up to the recommended strength; None: `largest`."""
    converted_from: str = ""
    """Name of the pickle that it was made from."""
    distilled: Distilled | None = None
    """What it was distilled for; None: it needs the usual number of steps, as far as is known."""
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""

    @property
    def lora_arch(self) -> str:
        """Architecture of compatible LoRAs."""
        return self.arch.removesuffix("-inpaint").removesuffix("-lcm")

    @property
    def takes_cfg(self) -> bool:
        """Whether CFG is an input of its UNet, in place of a second prediction for the negative prompt."""
        return self.arch == "sdxl-lcm"

    @property
    def has_middle_transformer(self) -> bool:
        """Whether its UNet has what PAG and SLG perturb."""
        return self.arch not in CUT_DEPTHS

    @property
    def is_large(self) -> bool:
        """Whether its size decides how fast it draws; the core may load it in another precision."""
        return self.size_bytes >= LARGE


@dataclass(frozen=True)
class Lora:
    """An installed LoRA. `trigger`, `weight` and `description` are the user's, else the file's."""

    name: str
    path: Path
    arch: str
    kind: str
    trigger: str
    weight: float
    description: str
    size_bytes: int
    modified: float
    unusable: str | None
    context: int = 0
    tags: tuple[str, ...] = ()
    favourite: bool = False
    preview: tuple[Path, str] | None = None
    """Preview image beside the file, and its stamp."""
    thumbnail: bool = False
    """Whether an image is embedded in the file."""
    chosen_preview: str | None = None
    """Id of the gallery image chosen by the user."""
    notes: str = ""
    base: str = ""
    caveats: tuple[str, ...] = ()
    """What is ignored or assumed, each as a predicate for the file's name."""
    stamp: str = ""
    said_hash: str = ""
    aliases: tuple[str, ...] = ()
    """Other names: from its trainer, or from loras.json."""
    hash: str | None = field(default=None, compare=False)
    """AutoV3, once computed."""
    hashes: tuple[str, ...] = field(default=(), compare=False)
    """SHA-256 of the file and of its weights, as soon as they have been computed."""
    from_hub: bool = False
    distilled: Distilled | None = None
    origin: str = ""
    """As of a checkpoint."""

    def is_compatible_with(self, checkpoint: Checkpoint) -> bool:
        if self.context and checkpoint.context:
            return self.context == checkpoint.context
        return self.arch == checkpoint.lora_arch


def checkpoint_entry(
    candidate: Candidate, findings: CheckpointInfo | str, note: Mapping[str, Any], problems: list[str]
) -> Checkpoint:
    """A checkpoint from its probe result and its entry in models.json."""
    name = candidate.name
    known = findings if isinstance(findings, CheckpointInfo) else CheckpointInfo("unknown")
    known = _apply_overrides(known, note, f"models.json, {name}", problems)
    unusable = findings if isinstance(findings, str) else _why_unusable(name, known.arch)
    defaults = usual_defaults(known)
    suggested = with_defaults(defaults, known.extras.get("defaults"), f"{name}/webbduck.json", problems)
    return Checkpoint(
        name=name,
        path=candidate.path,
        layout="diffusers" if candidate.is_folder else "single_file",
        arch=known.arch,
        prediction_type=known.prediction_type,
        native_size=known.native_size,
        size_bytes=2 * known.numbers or candidate.size,
        file_bytes=candidate.size,
        stored=known.stored,
        notes=known.notes,
        dress=known.dress,
        has_vae=known.has_vae,
        modified=candidate.modified,
        defaults=with_defaults(suggested, note.get("defaults"), f"models.json, {name}", problems),
        unusable=unusable,
        zero_snr=known.zero_snr,
        context=known.context,
        clip_layers=known.clip_layers,
        latent_rgb=_latent_rgb(known.extras.get("latent_rgb"), f"{name}/webbduck.json", problems),
        suggested=suggested,
        vocabulary=vocabulary_in(known.extras, name, f"{name}/webbduck.json", problems),
        largest=_side(known.extras, "largest", name, problems),
        largest_redrawn=_side(known.extras, "largest_redrawn", name, problems),
        converted_from=str(known.extras.get("converted_from", "")),
        distilled=_distilled(known, name),
        origin=candidate.origin,
        stamp=candidate.stamp,
    )


def _apply_overrides(
    known: CheckpointInfo, note: Mapping[str, Any], source: str, problems: list[str]
) -> CheckpointInfo:
    """Apply prediction type and zero terminal SNR from models.json, since many files do not declare them."""
    prediction, zero_snr = note.get("prediction_type"), note.get("zero_snr")
    if prediction not in (None, "epsilon", "v_prediction"):
        problems.append(f"{source}: prediction_type must be epsilon or v_prediction.")
        prediction = None
    if zero_snr not in (None, True, False):
        problems.append(f"{source}: zero_snr must be true or false.")
        zero_snr = None
    return replace(
        known,
        prediction_type=prediction or known.prediction_type,
        zero_snr=known.zero_snr if zero_snr is None else zero_snr,
    )


def _distilled(known: CheckpointInfo, name: str) -> Distilled | None:
    if known.arch == "sdxl-lcm":
        return FULL_LCM
    return remembered(known.extras.get("distilled")) or by_name(name, "checkpoint")


def _side(extras: Mapping[str, Any], key: str, name: str, problems: list[str]) -> int | None:
    said = extras.get(key)
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int) or not MIN_SIDE <= said <= MAX_SIDE:
        problems.append(f"{name}/webbduck.json: {key} must be a side from {MIN_SIDE} to {MAX_SIDE} pixels.")
        return None
    return said


def usual_defaults(known: CheckpointInfo) -> Defaults:
    """Defaults by architecture, overridden by the file's metadata."""
    size = known.native_size
    if size < 512 and known.arch in SUPPORTED:  # models for small images need fewer steps and less guidance
        defaults = Defaults(20, 5.0, size, size, "Euler")
    elif known.arch in ("sd1", "sd2"):
        defaults = Defaults(25, 7.0, size, size, "DPM++ 2M Karras")
    elif known.prediction_type == "v_prediction":
        defaults = Defaults(28, 5.0, size, size, "Euler")
    elif known.arch == "sdxl-lcm":
        defaults = Defaults(FULL_LCM.steps, FULL_LCM.cfg, size, size, FULL_LCM.sampler)
    else:
        defaults = Defaults(30, 6.0, size, size, "DPM++ 2M Karras")
    return with_defaults(defaults, known.extras.get("said"), "metadata", [])


def _why_unusable(name: str, arch: str) -> str | None:
    if arch not in SUPPORTED:
        what = NAMES.get(arch, "of an unknown architecture")
        return f"{name} is {what}, which is not supported; choose an SDXL checkpoint."
    return None


def _latent_rgb(said: Any, source: str, problems: list[str]) -> tuple[tuple[float, ...], ...] | None:
    if said is None:
        return None
    try:
        rows = tuple(tuple(float(n) for n in row) for row in (*said["factors"], said["bias"]))
    except (TypeError, KeyError, ValueError):
        rows = ()
    if len(rows) != 5 or any(len(row) != 3 for row in rows):
        problems.append(f"{source}: latent_rgb needs factors (4 x 3 numbers) and bias (3 numbers).")
        return None
    return rows


def lora_entry(
    candidate: Candidate,
    findings: LoraInfo | str,
    sidecar: Mapping[str, Any],
    note: Mapping[str, Any],
    problems: list[str],
) -> Lora:
    """A LoRA from its probe result, sidecar files, and its entry in loras.json."""
    name = candidate.name
    known = findings if isinstance(findings, LoraInfo) else LoraInfo("unknown", "unknown")
    source = f"loras.json, {name}"
    config = dict(note)
    default = float(sidecar.get("weight", 1.0))
    preview = config.get("preview")
    return Lora(
        name=name,
        path=candidate.path,
        arch=known.arch,
        kind=known.kind,
        trigger=phrase(text(config, "trigger", sidecar.get("trigger") or known.trigger, source, problems)),
        weight=number(config, "weight", default if -2 <= default <= 2 else 1.0, source, problems),
        description=text(
            config, "description", sidecar.get("description") or known.description, source, problems
        ),
        unusable=findings if isinstance(findings, str) else _why_no_lora(name, known),
        context=known.context,
        tags=texts(config, "tags", tuple(sidecar.get("tags", ())) or known.tags, source, problems),
        favourite=config.get("favourite") is True,
        preview=candidate.preview(),
        thumbnail=known.thumbnail,
        chosen_preview=preview if isinstance(preview, str) and preview else None,
        notes=str(sidecar.get("notes", "")),
        base=str(sidecar.get("base", "")),
        caveats=known.caveats,
        size_bytes=candidate.size,
        modified=candidate.modified,
        stamp=candidate.stamp,
        aliases=(known.output_name,) if known.output_name else (),
        said_hash=known.said_hash,
        distilled=remembered(known.distilled) or by_name(name, "LoRA"),
        origin=candidate.origin,
    )


def _why_no_lora(name: str, known: LoraInfo) -> str | None:
    return f"The LoRA {name} {known.fault}." if known.fault else None
