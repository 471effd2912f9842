"""The catalog: which checkpoints and LoRAs there are, what they are, and whether a request fits them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import ModelError, UnknownName
from ..request import GenerationRequest
from ..settings import Settings
from . import admission
from .header import PICKLE_ENDINGS
from .inspect import NAMES, SUPPORTED, Findings, LoraFindings, inspect_file, inspect_folder, inspect_lora
from .notes import Defaults, number, read_notes, text, with_defaults
from .scan import Signature, model_entries, signature
from .tools import Captioner, Upscaler, by_name, find_captioners, find_upscalers

STARTER = "webbduck-starter"
"""The bundled checkpoint; a user's own comes before it."""

Found = TypeVar("Found")


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

    @property
    def lora_arch(self) -> str:
        """Architecture of the LoRAs that it takes."""
        return self.arch.removesuffix("-inpaint")


@dataclass(frozen=True)
class Lora:
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

    def fits(self, checkpoint: Checkpoint) -> bool:
        if self.context and checkpoint.context:
            return self.context == checkpoint.context
        return self.arch == checkpoint.lora_arch


class Registry:
    """What is on disk. Scans when made; `refresh` looks again and reads only what changed."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.version = 0
        self.problems: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[Signature, Any]] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._loras: dict[str, Lora] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Scan again; True (and a higher `version`) when something changed."""
        with self._lock:
            problems: list[str] = []
            seen: dict[Path, tuple[Signature, Any]] = {}
            checkpoints = self._scan_checkpoints(seen, problems)
            loras = self._scan_loras(seen, problems)
            state = (checkpoints, loras, tuple(problems))
            changed = state != (self._checkpoints, self._loras, self.problems) or self.version == 0
            self._seen = seen
            if changed:
                self._checkpoints, self._loras, self.problems = state
                self.version += 1
            return changed

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All of them, also unusable ones, sorted by name."""
        return tuple(sorted(self._checkpoints.values(), key=lambda each: each.name.casefold()))

    def checkpoint(self, name: str) -> Checkpoint:
        """Raises `UnknownName`, or `ModelError` with the reason why it cannot be used."""
        checkpoint = self._checkpoints.get(name)
        if checkpoint is None:
            raise UnknownName(f"There is no checkpoint named {_shown(name)}{self._instead()}.")
        if checkpoint.unusable:
            raise ModelError(checkpoint.unusable)
        return checkpoint

    def _instead(self) -> str:
        usable = [each.name for each in self.checkpoints() if not each.unusable]
        if not usable:
            return f"; put one into {self.settings.checkpoints / 'sdxl'}"
        return f"; there {'is' if len(usable) == 1 else 'are'}: " + ", ".join(usable[:8])

    def default_checkpoint(self) -> Checkpoint | None:
        """The first usable base checkpoint, a user's own before the bundled one; None where there is none."""
        usable = [each for each in self.checkpoints() if not each.unusable and each.arch == "sdxl"]
        return min(usable, key=lambda each: each.name == STARTER, default=None)

    def loras(self, base_model: str | None = None) -> tuple[Lora, ...]:
        """All LoRAs sorted by name; with `base_model`, those that can be used with that checkpoint."""
        loras = sorted(self._loras.values(), key=lambda each: each.name.casefold())
        if base_model is None:
            return tuple(loras)
        checkpoint = self.checkpoint(base_model)
        return tuple(lora for lora in loras if not lora.unusable and lora.fits(checkpoint))

    def lora(self, name: str) -> Lora:
        """Raises `UnknownName`, or `ModelError` with the reason why it cannot be used."""
        lora = self._loras.get(name)
        if lora is None:
            raise UnknownName(f"There is no LoRA named {_shown(name)} in {self.settings.loras}.")
        if lora.unusable:
            raise ModelError(lora.unusable)
        return lora

    def second_pass(self, request: GenerationRequest) -> Checkpoint:
        """The checkpoint of the request's second pass. Raises `UnknownName` or `ModelError`."""
        checkpoint = self.checkpoint(request.second_pass_model or "")
        if checkpoint.arch == "sdxl-inpaint":
            raise ModelError(f"{checkpoint.name} is made for inpainting; it cannot be the second pass.")
        return checkpoint

    def second_pass_models(self) -> tuple[Checkpoint, ...]:
        """Checkpoints that can go over another one's picture."""
        usable = (each for each in self.checkpoints() if not each.unusable)
        return tuple(each for each in usable if each.arch in ("sdxl", "sdxl-refiner"))

    def input_path(self, file_id: str) -> Path:
        """File of an input picture. Raises `UnknownName` where it is gone."""
        path = self.settings.inputs / file_id
        if path.parent != self.settings.inputs or path.is_symlink() or not path.is_file():
            raise UnknownName("The input picture is no longer there; choose it again.")
        return path

    def upscalers(self) -> tuple[Upscaler, ...]:
        """All in `checkpoint/upscale`, also unusable ones."""
        return find_upscalers(self.settings)

    def upscaler(self, name: str | None) -> Upscaler | None:
        """By name; for None the first usable one, or None (Lanczos) where there is none."""
        if name is not None:
            return by_name(self.upscalers(), name, "upscaler")
        return next((each for each in self.upscalers() if not each.unusable), None)

    def captioners(self) -> tuple[Captioner, ...]:
        """Plug-ins and all in `checkpoint/caption`, also unusable ones."""
        return find_captioners(self.settings)

    def captioner(self, name: str | None) -> Captioner:
        """By name; for None the first usable one. Raises `UnknownName` or `ModelError`."""
        if name is not None:
            return by_name(self.captioners(), name, "captioner")
        usable = next((each for each in self.captioners() if not each.unusable), None)
        if usable is None:
            folder = self.settings.checkpoints / "caption"
            raise ModelError(f"There is no captioner; put a model's folder into {folder}.")
        return usable

    def settle(self, asked: Mapping[str, Any]) -> GenerationRequest:
        """The request with the checkpoint's defaults where nothing was asked (None or absent)."""
        fields = dict(asked)
        if fields.get("base_model") is None:
            default = self.default_checkpoint()
            if default is None:
                raise ModelError(f"There is no usable checkpoint{self._instead()}.")
            fields["base_model"] = default.name
        if isinstance(fields["base_model"], str):
            defaults = self.checkpoint(fields["base_model"]).defaults
            for key in ("steps", "cfg", "width", "height", "scheduler"):
                if fields.get(key) is None:
                    fields[key] = getattr(defaults, key)
        return GenerationRequest.of(**fields)

    def admit(self, request: GenerationRequest) -> list[str]:
        """Check what is asked before it is queued: `admission.admit`."""
        return admission.admit(self, request)

    # -- scanning --------------------------------------------------------------------------------------

    def _scan_checkpoints(self, seen: dict, problems: list[str]) -> dict[str, Checkpoint]:
        root = self.settings.checkpoints / "sdxl"
        noted = read_notes(root / "models.json", problems)
        found = {}
        for name, path in model_entries(root, folders=True):
            inspect = inspect_folder if path.is_dir() else inspect_file
            findings, stamp = self._inspected(path, inspect, seen)
            found[name] = _checkpoint(name, path, findings, stamp, noted.get(name, {}), problems)
        return found

    def _scan_loras(self, seen: dict, problems: list[str]) -> dict[str, Lora]:
        noted = read_notes(self.settings.loras / "loras.json", problems)
        by_file = {entry["file"]: entry for entry in noted.values() if isinstance(entry.get("file"), str)}
        found = {}
        for name, path in model_entries(self.settings.loras, folders=False):
            findings, stamp = self._inspected(path, inspect_lora, seen)
            relative = path.relative_to(self.settings.loras).as_posix()
            note = noted.get(name) or by_file.get(relative) or {}
            found[name] = _lora(name, path, findings, stamp, note, problems)
        return found

    def _inspected(
        self, path: Path, inspect: Callable[[Path], Found], seen: dict
    ) -> tuple[Found | str, Signature]:
        """Findings, or the reason why there are none; from memory while the files are the same."""
        stamp = signature(path)
        known = self._seen.get(path)
        if known and known[0] == stamp:
            result = known[1]
        else:
            try:
                result = inspect(path)
            except ModelError as error:
                result = str(error)
        seen[path] = (stamp, result)
        return result, stamp


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


def _sizes(path: Path, stamp: Signature) -> dict[str, Any]:
    weights = [each for each in stamp if Path(each[0]).suffix in PICKLE_ENDINGS | {".safetensors"}]
    return {
        "size_bytes": sum(size for _, size, _ in weights),
        "modified": max((time for _, _, time in stamp), default=0) / 1e9,
    }


def _checkpoint(
    name: str, path: Path, findings: Findings | str, stamp: Signature, note: dict, problems: list[str]
) -> Checkpoint:
    known = findings if isinstance(findings, Findings) else Findings("unknown")
    unusable = findings if isinstance(findings, str) else _why_unusable(name, known.arch, path)
    defaults = _usual_defaults(known.native_size)
    defaults = with_defaults(defaults, known.extras.get("defaults"), f"{name}/webbduck.json", problems)
    defaults = with_defaults(defaults, note.get("defaults"), f"models.json, {name}", problems)
    return Checkpoint(
        name=name,
        path=path,
        layout="diffusers" if path.is_dir() else "single_file",
        arch=known.arch,
        prediction_type=known.prediction_type,
        native_size=known.native_size,
        defaults=defaults,
        unusable=unusable,
        zero_snr=known.zero_snr,
        context=known.context,
        clip_layers=known.clip_layers,
        latent_rgb=_latent_rgb(known.extras.get("latent_rgb"), f"{name}/webbduck.json", problems),
        **_sizes(path, stamp),
    )


def _usual_defaults(size: int) -> Defaults:
    """SDXL's usual settings; a model of small pictures needs fewer steps and less guidance."""
    if size < 512:
        return Defaults(20, 5.0, size, size, "Euler")
    return Defaults(30, 6.0, size, size, "DPM++ 2M Karras")


def _why_unusable(name: str, arch: str, path: Path) -> str | None:
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


def _why_no_lora(name: str, kind: str) -> str | None:
    if kind in ("LoRA", "LoCon"):
        return None
    return f"The LoRA {name} is of the kind {kind}, which cannot be applied yet; choose a LoRA or LoCon."


def _lora(
    name: str, path: Path, findings: LoraFindings | str, stamp: Signature, note: dict, problems: list[str]
) -> Lora:
    known = findings if isinstance(findings, LoraFindings) else LoraFindings("unknown", "unknown")
    source = f"loras.json, {name}"
    return Lora(
        name=name,
        path=path,
        arch=known.arch,
        kind=known.kind,
        trigger=text(note, "trigger", known.trigger, source, problems),
        weight=number(note, "weight", 1.0, source, problems),
        description=text(note, "description", known.description, source, problems),
        unusable=findings if isinstance(findings, str) else _why_no_lora(name, known.kind),
        context=known.context,
        **_sizes(path, stamp),
    )
