"""The state of an unfinished image, and its file: safetensors, so that reading one runs nothing of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import GenerationError
from .load_errors import unreadable
from .progress import UNFINISHED_FORMAT
from .sampling.samplers.base import State

log = logging.getLogger(__name__)

DAMAGED = "The saved state of this job is damaged; retry the job from the start."
FOREIGN = "The saved state does not belong to this job; retry the job from the start."

Stage = Literal["first", "refiner", "img2img", "hires", "detail"]
"""What draws: the first pass, the refiner that continues it, the img2img second pass, the hires pass, or a
pass over a detail."""
REDRAWN: tuple[Stage, ...] = ("img2img", "detail")
"""Stages whose state holds the picture that is redrawn."""

Tensors = dict[str, torch.Tensor]
STAGE = "stage."
"""How the names of the kept pictures' tensors begin."""


@dataclass(frozen=True)
class DetailState:
    """Where the redrawing of details stands."""

    number: int
    """Of the pass, from 0."""
    region: int
    """Of the region in this pass that is drawn, from 0."""
    masks: tuple[Image.Image, ...]
    """Of all regions of this pass (L, of the picture's size)."""
    found: list[dict[str, Any]]
    """What the passes so far have found, as the picture's metadata say it."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """All that is needed to go on with an image after a denoising step, beside what is made anew from its
    request. Implements `progress.UnfinishedState`."""

    index: int
    step: int
    total: int
    stage: Stage
    state: State
    """On the CPU. Its step is `step` without those before this part."""
    noise: torch.Tensor
    """The position of the image's noise, as `ImageNoise.state` gives it."""
    evaluations: int
    """Of the UNet in this pass, which decide where NGMS leaves the negative prompt out."""
    picture: Image.Image | None
    """In the stages of `REDRAWN` the picture that is redrawn (RGB), else None."""
    part: int = 0
    """Of the first stage (`Mode.parts`)."""
    steps_before: int = 0
    """Of `step`, those of the parts before."""
    canvas: Image.Image | None = None
    """What the parts before have drawn (RGB); None in the first part."""
    share: float = 0.0
    """Of the image's work that is done, 0 to 1."""
    stages: Mapping[str, Image.Image] = dataclasses.field(default_factory=dict)
    """The pictures that are kept so far (RGB), by stage."""
    warnings: tuple[str, ...]
    """Of the image so far."""
    memory_warnings: tuple[str, ...]
    """Of the job so far: where memory ran out."""
    origin: Mapping[str, Any]
    """What the image's bits depend on (`origin.Origin`)."""
    detail: DetailState | None = None
    """In the stage "detail", where it stands."""

    def write(self, file: BinaryIO) -> None:
        """Write it as safetensors, with a checksum. Raises `OSError`."""
        tensors = self._tensors()
        texts = {
            "format": UNFINISHED_FORMAT,
            "index": str(self.index),
            "step": str(self.step),
            "total": str(self.total),
            "share": str(self.share),
            "stage": self.stage,
            "part": str(self.part),
            "steps_before": str(self.steps_before),
            "evaluations": str(self.evaluations),
            "warnings": json.dumps(self.warnings),
            "memory_warnings": json.dumps(self.memory_warnings),
            "channels_last": json.dumps(
                sorted(name for name, each in tensors.items() if _is_channels_last(each))
            ),
            "origin": json.dumps(self.origin),
        }
        if self.detail is not None:
            texts["detail"] = json.dumps([self.detail.number, self.detail.region, self.detail.found])
        # Cloned: a tensor may be in several places, and safetensors refuses what shares memory.
        tensors = {name: each.clone(memory_format=torch.contiguous_format) for name, each in tensors.items()}
        file.write(save(tensors, texts | {"checksum": _checksum(tensors, texts)}))

    def _tensors(self) -> Tensors:
        state = self.state
        tensors = {
            "x": state.x,
            "numbers": torch.tensor(state.numbers, dtype=torch.float64),
            "noise": self.noise,
        }
        tensors |= {f"memory.{number}": each for number, each in enumerate(state.memory)}
        if state.denoised is not None:
            tensors["denoised"] = state.denoised
        if self.picture is not None:
            tensors["picture"] = torch.from_numpy(numpy.array(self.picture))
        if self.canvas is not None:
            tensors["canvas"] = torch.from_numpy(numpy.array(self.canvas))
        if self.detail is not None:
            tensors["masks"] = torch.from_numpy(
                numpy.stack([numpy.array(each) for each in self.detail.masks])
            )
        for name, image in self.stages.items():
            tensors[f"{STAGE}{name}"] = torch.from_numpy(numpy.array(image))
        return tensors

    def check(self, x: torch.Tensor, noise: torch.Tensor) -> None:
        """Raises `GenerationError` unless it is of a pass with latents and a noise position like these."""
        state = self.state
        latents = [state.x, *state.memory, *([] if state.denoised is None else [state.denoised])]
        is_alike = all(each.shape == x.shape and each.dtype == x.dtype for each in latents)
        if not is_alike or self.noise.shape != noise.shape or self.noise.dtype != noise.dtype:
            raise GenerationError(FOREIGN)


def _is_channels_last(tensor: torch.Tensor) -> bool:
    """A picture's latents come from the VAE in this layout; in another one, convolutions round otherwise."""
    return (
        tensor.ndim == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def on(state: State, device: torch.device | str, copy: bool = False) -> State:
    """The same state on a device. `copy`: even if it is there, so that nothing else can modify it."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device, copy=copy)

    denoised = None if state.denoised is None else moved(state.denoised)
    memory = tuple(map(moved, state.memory))
    return dataclasses.replace(state, x=moved(state.x), denoised=denoised, memory=memory)


def read(path: Path) -> Unfinished:
    """Raises `GenerationError` for a file that cannot be read, is damaged or is none that `write` wrote."""
    try:
        path.open("rb").close()  # safetensors does not tell the system's reason
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            if texts.get("format") != UNFINISHED_FORMAT:
                raise GenerationError(FOREIGN)
            # Copies, or the file would stay open as long as they are in use.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if texts.pop("checksum", None) != _checksum(tensors, texts):
            raise GenerationError(DAMAGED)
        return _of(texts, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.exception("Reading %s failed", path)
        reason = unreadable(error, path)
        raise GenerationError(
            f"The saved state of this job cannot be read ({reason}); retry the job from the start."
            if reason
            else DAMAGED
        ) from None


def _of(texts: Mapping[str, str], tensors: Tensors) -> Unfinished:
    """Raises `ValueError`, `KeyError`, `TypeError` or `RuntimeError` where something is missing or of another
    kind."""
    index, step, total, evaluations = (int(texts[name]) for name in ("index", "step", "total", "evaluations"))
    part, before = (int(texts.get(name, "0")) for name in ("part", "steps_before"))  # absent in older files
    stage: Any = texts["stage"]
    for name in json.loads(texts["channels_last"]):
        tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)
    memory = [tensors[f"memory.{number}"] for number in range(sum("memory." in name for name in tensors))]
    numbers, noise, origin = tensors["numbers"], tensors["noise"], json.loads(texts["origin"])
    picture = _picture(tensors["picture"]) if stage in REDRAWN else None
    canvas = _picture(tensors["canvas"]) if part else None
    if (
        not 0 <= before < step <= total
        or min(index, evaluations, part) < 0
        or stage not in get_args(Stage)
        or noise.ndim != 1
    ):
        raise ValueError("a value is out of range")
    if numbers.ndim != 1 or numbers.dtype != torch.float64 or not isinstance(origin, dict):
        raise ValueError("a value is of another kind")
    return Unfinished(
        index=index,
        step=step,
        total=total,
        stage=stage,
        state=State(
            tensors["x"], step - before, tensors.get("denoised"), tuple(memory), tuple(numbers.tolist())
        ),
        noise=noise,
        evaluations=evaluations,
        picture=picture,
        part=part,
        steps_before=before,
        canvas=canvas,
        share=float(texts.get("share", 0)),
        stages={
            name.removeprefix(STAGE): _picture(each)
            for name, each in tensors.items()
            if name.startswith(STAGE)
        },
        warnings=tuple(_sentences(texts["warnings"])),
        memory_warnings=tuple(_sentences(texts["memory_warnings"])),
        origin=origin,
        detail=_detail(texts["detail"], tensors["masks"]) if stage == "detail" else None,
    )


def _picture(pixels: torch.Tensor) -> Image.Image:
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("the picture is of another kind")
    return Image.fromarray(pixels.numpy())


def _detail(text: str, masks: torch.Tensor) -> DetailState:
    number, region, found = json.loads(text)
    is_sound = isinstance(found, list) and all(isinstance(each, dict) for each in found)
    if masks.dtype != torch.uint8 or masks.ndim != 3 or not is_sound or not 0 <= region < len(masks):
        raise ValueError("a detail is of another kind")
    return DetailState(
        int(number), int(region), tuple(Image.fromarray(each.numpy(), "L") for each in masks), found
    )


def _sentences(text: str) -> Iterator[str]:
    for each in json.loads(text):
        if not isinstance(each, str):
            raise ValueError("a warning is no text")
        yield each


def _checksum(tensors: Tensors, texts: Mapping[str, str]) -> str:
    """safetensors has none, and after a power cut a file can hold zeros where data should be."""
    digest = hashlib.sha256(json.dumps(dict(sorted(texts.items()))).encode())
    for name, each in sorted(tensors.items()):
        digest.update(f"\0{name}\0{each.dtype}\0{tuple(each.shape)}\0".encode())
        digest.update(each.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
