"""The catalog's entries: what a file says, what is noted beside it, and what its owner wants, in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..probe.checkpoint import SUPPORTED, CheckpointInfo
from ..probe.lora import NAMES, LoraInfo
from ..scan import Candidate
from ..triggers import phrase
from .defaults import Defaults, number, text, texts, with_defaults


@dataclass(frozen=True)
class Checkpoint:
    """`unusable` is None when it can be used, else the reason in one sentence."""

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
    """Width of the cross-attention; a LoRA of another width cannot fit. 0 where not known."""
    clip_layers: int = 12
    """Layers of the text encoder that has fewest."""
    latent_rgb: tuple[tuple[float, ...], ...] | None = None
    """Four rows of three factors and one row of bias; None = SDXL's own."""
    suggested: Defaults | None = None
    """The defaults without what the owner noted in models.json."""
    stamp: str = ""
    hash: str | None = field(default=None, compare=False)
    """AutoV2 of a file, as soon as it has been computed; a folder has none."""
    hashes: tuple[str, ...] = field(default=(), compare=False)
    """SHA-256 of the file and of its weights, as soon as they have been computed."""
    from_hub: bool = False
    file_bytes: int = 0
    """Bytes on disk; `size_bytes` is what its parts take in half precision, however they are stored."""
    stored: str = ""
    """Number format of its UNet's weights as safetensors calls it; "" where they are of several."""
    notes: tuple[str, ...] = ()
    """What is to be said to whoever draws with it."""

    @property
    def lora_arch(self) -> str:
        """Architecture of the LoRAs that it takes."""
        return self.arch.removesuffix("-inpaint")


@dataclass(frozen=True)
class Lora:
    """`trigger`, `weight` and `description` are the owner's where there are any, else the file's."""

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
    """Picture beside the file, and its stamp."""
    thumbnail: bool = False
    """Whether a picture is embedded in the file."""
    chosen_preview: str | None = None
    """Id of the gallery's picture that the owner chose."""
    notes: str = ""
    base: str = ""
    caveats: tuple[str, ...] = ()
    """What of the file is left out or taken for granted, each as what follows its name in a sentence."""
    stamp: str = ""
    said_hash: str = ""
    aliases: tuple[str, ...] = ()
    """What else it is called: by its trainer, in loras.json."""
    hash: str | None = field(default=None, compare=False)
    """AutoV3, as soon as it has been computed."""
    hashes: tuple[str, ...] = field(default=(), compare=False)
    """SHA-256 of the file and of its weights, as soon as they have been computed."""
    from_hub: bool = False

    def is_compatible_with(self, checkpoint: Checkpoint) -> bool:
        if self.context and checkpoint.context:
            return self.context == checkpoint.context
        return self.arch == checkpoint.lora_arch


def checkpoint_entry(
    candidate: Candidate, findings: CheckpointInfo | str, note: Mapping[str, Any], problems: list[str]
) -> Checkpoint:
    """A checkpoint from what its header says and its entry in models.json."""
    name = candidate.name
    known = findings if isinstance(findings, CheckpointInfo) else CheckpointInfo("unknown")
    known = _apply_overrides(known, note, f"models.json, {name}", problems)
    unusable = findings if isinstance(findings, str) else _why_unusable(name, known.arch)
    usual = usual_defaults(known)
    suggested = with_defaults(usual, known.extras.get("defaults"), f"{name}/webbduck.json", problems)
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
        modified=candidate.modified,
        defaults=with_defaults(suggested, note.get("defaults"), f"models.json, {name}", problems),
        unusable=unusable,
        zero_snr=known.zero_snr,
        context=known.context,
        clip_layers=known.clip_layers,
        latent_rgb=_latent_rgb(known.extras.get("latent_rgb"), f"{name}/webbduck.json", problems),
        suggested=suggested,
        stamp=candidate.stamp,
    )


def _apply_overrides(
    known: CheckpointInfo, note: Mapping[str, Any], source: str, problems: list[str]
) -> CheckpointInfo:
    """What the model was trained to put out, and whether from pure noise: many files carry no mark of it."""
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


def usual_defaults(known: CheckpointInfo) -> Defaults:
    """What an architecture is usually drawn with, and what the file's metadata says instead."""
    size = known.native_size
    if size < 512 and known.arch in SUPPORTED:  # a model of small pictures needs fewer steps, less guidance
        usual = Defaults(20, 5.0, size, size, "Euler")
    elif known.arch in ("sd1", "sd2"):
        usual = Defaults(25, 7.0, size, size, "DPM++ 2M Karras")
    elif known.prediction_type == "v_prediction":
        usual = Defaults(28, 5.0, size, size, "Euler")
    else:
        usual = Defaults(30, 6.0, size, size, "DPM++ 2M Karras")
    return with_defaults(usual, known.extras.get("said"), "metadata", [])


def _why_unusable(name: str, arch: str) -> str | None:
    if arch not in SUPPORTED:
        what = NAMES.get(arch, "of an architecture that is not known")
        return f"{name} is {what}, which this studio does not load; choose an SDXL checkpoint."
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
    beside: Mapping[str, Any],
    note: Mapping[str, Any],
    problems: list[str],
) -> Lora:
    """A LoRA from its header, what other programs noted beside it, and its entry in loras.json."""
    name = candidate.name
    known = findings if isinstance(findings, LoraInfo) else LoraInfo("unknown", "unknown")
    source = f"loras.json, {name}"
    noted = dict(note)
    default = float(beside.get("weight", 1.0))
    preview = noted.get("preview")
    return Lora(
        name=name,
        path=candidate.path,
        arch=known.arch,
        kind=known.kind,
        trigger=phrase(text(noted, "trigger", beside.get("trigger") or known.trigger, source, problems)),
        weight=number(noted, "weight", default if -2 <= default <= 2 else 1.0, source, problems),
        description=text(
            noted, "description", beside.get("description") or known.description, source, problems
        ),
        unusable=findings if isinstance(findings, str) else _why_no_lora(name, known),
        context=known.context,
        tags=texts(noted, "tags", tuple(beside.get("tags", ())) or known.tags, source, problems),
        favourite=noted.get("favourite") is True,
        preview=candidate.preview(),
        thumbnail=known.thumbnail,
        chosen_preview=preview if isinstance(preview, str) and preview else None,
        notes=str(beside.get("notes", "")),
        base=str(beside.get("base", "")),
        caveats=known.caveats,
        size_bytes=candidate.size,
        modified=candidate.modified,
        stamp=candidate.stamp,
        aliases=(known.output_name,) if known.output_name else (),
        said_hash=known.said_hash,
    )


def _why_no_lora(name: str, known: LoraInfo) -> str | None:
    if known.kind not in ("LoRA", "LoCon"):
        what = f"is of the kind {known.kind}, which cannot be applied yet"
        return f"The LoRA {name} {what}; choose a LoRA or LoCon."
    return f"The LoRA {name} {known.fault}." if known.fault else None
