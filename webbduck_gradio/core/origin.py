"""What an image's bits depend on: recorded with an unfinished one, and compared before it goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

import torch
from PIL import Image

from .. import __version__
from ..errors import GenerationError, ModelError
from ..models.catalog.registry import Checkpoint
from ..models.prompt_resolver import ResolvedPrompt
from ..models.upscalers import Upscaler
from ..models.vaes import Vae
from ..request import GenerationRequest
from . import devices
from .checkpoint_cache import CheckpointCache
from .memory_policies import FP8
from .unfinished import FOREIGN

Origin = Mapping[str, Any]
"""As JSON can hold it; made by `origin_of`, with what `CheckpointCache.decoding` gives."""

PACKAGES = ("torch", "diffusers", "transformers", "safetensors")
"""Packages whose version changes an image's bits."""

IRRELEVANT = {"num_images", "output_format"}
"""Settings that change no image."""

AGAIN = "retry the job from the start."
CAN_DIFFER = "single pixels can differ slightly from a picture drawn in one go."


@cache
def version_of(package: str) -> str:
    """Installed version. Read once: an update takes effect with the next start, and to read it takes as long
    as a small step."""
    return metadata.version(package)


def versions() -> dict[str, str]:
    """Installed version of each of `PACKAGES`."""
    return {package: version_of(package) for package in PACKAGES}


def origin_of(
    request: GenerationRequest,
    wordings: Sequence[ResolvedPrompt],
    checkpoints: Sequence[Checkpoint],
    vae: Vae | None,
    upscaler: str | Upscaler | None,
    inputs: Iterable[Image.Image | str],
    pipelines: CheckpointCache,
    threads: int,
) -> Origin:
    """`wordings`: of the first pass and of the hires pass; `checkpoints`: of all passes; `vae`: None = their
    own; `upscaler`: of the hires pass; `inputs`: images as the mode uses them, or the `digest` of such."""
    origin = {
        "versions": {"WebbDuck": __version__, "torchsde": version_of("torchsde"), **versions()},
        "request": request.model_dump(mode="json", exclude=IRRELEVANT),
        "texts": [text for each in wordings for text in (each.prompt, each.negative_prompt, each.prompt_2)],
        "checkpoints": [
            {
                "name": each.name,
                "stamp": each.stamp,
                "prediction_type": each.prediction_type,
                "zero_snr": each.zero_snr,
            }
            for each in checkpoints
        ],
        "loras": [{**use.settings, "stamp": use.lora.stamp} for wording in wordings for use in wording.uses],
        "vae_files": [] if vae is None else [{"name": vae.name, "stamp": vae.stamp}],
        "inputs": [each if isinstance(each, str) else digest(each) for each in inputs],
        "dtype": [devices.name_of(pipelines.dtype_of(each.is_large)) for each in checkpoints],
        "device": _name(torch.device(pipelines.device)),
        "threads": threads,
    }
    if named := [each for wording in wordings for each in wording.embeddings]:
        origin["embeddings"] = [{"name": each.name, "stamp": each.stamp} for each in named]
    if isinstance(upscaler, Upscaler):
        status = upscaler.path.stat()
        origin["upscaler"] = {"name": upscaler.name, "stamp": f"{status.st_size} {status.st_mtime_ns}"}
    return origin


def check(before: Origin, now: Origin) -> None:
    """Raises `ModelError` where a model differs, `GenerationError` where anything else does by which it would
    be another image; `caveats` tells the rest."""
    try:
        if before.keys() != now.keys():
            raise GenerationError(FOREIGN)
        _check_versions(before["versions"], now["versions"])
        if before["request"] != now["request"]:
            raise GenerationError(FOREIGN)
        _check_models("checkpoint", before["checkpoints"], now["checkpoints"])
        _check_models("VAE", before["vae_files"], now["vae_files"])
        _check_models("LoRA", before["loras"], now["loras"])
        _check_models("embedding", before.get("embeddings", ()), now.get("embeddings", ()))
        if "upscaler" in now:
            _check_models("upscaler", [before["upscaler"]], [now["upscaler"]])
        _check_models("detector, LoRA or embedding", before.get("details", ()), now.get("details", ()))
        if before["texts"] != now["texts"]:
            raise GenerationError(f"A LoRA's trigger or a wildcard has changed since this job began; {AGAIN}")
        if len(before["vae"]) != len(now["vae"]):
            raise GenerationError(FOREIGN)
        if before["inputs"] != now["inputs"]:
            raise GenerationError(f"The input picture has changed since this job began; {AGAIN}")
        for old, new in zip(before["dtype"], now["dtype"], strict=True):
            if old != new:
                raise GenerationError(
                    f"This job began in {old}, but the studio computes in {new} now; start it with "
                    f"--precision {old}, or {AGAIN}"
                )
    except (KeyError, TypeError, ValueError):
        raise GenerationError(FOREIGN) from None


def _check_versions(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    for name, version in now.items():
        if before[name] != version:
            old = before[name]
            raise GenerationError(f"{name} was {old} when this job began, now it is {version}; {AGAIN}")


def _check_models(kind: str, before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
    if [each["name"] for each in before] != [each["name"] for each in now]:
        raise GenerationError(FOREIGN)
    for old, new in zip(before, now, strict=True):
        if old != new:
            raise ModelError(f"The {kind} {new['name']} has changed since this job began; {AGAIN}")


def caveats(before: Origin, now: Origin) -> Iterator[str]:
    """Warnings about what can change single pixels of an image that goes on here. `before` is checked."""
    if now["loras"] and "peft" in before["versions"]:
        yield f"It was begun by an earlier version, which applied LoRAs differently; {CAN_DIFFER}"
    if before["device"] != now["device"]:
        yield f"It was begun on {before['device']} and finished on {now['device']}; {CAN_DIFFER}"
    elif before["threads"] != now["threads"]:
        yield (
            f"It was begun with {before['threads']} CPU threads and finished with {now['threads']}; "
            f"{CAN_DIFFER}"
        )
    if (before["policy"] == FP8.name) != (now["policy"] == FP8.name):
        yield (
            f"It was begun with memory policy '{before['policy']}' and finished with '{now['policy']}'; "
            "details can differ from a picture drawn in one go."
        )
    if before["compiled"] != now["compiled"]:
        ways = ("compiled", "uncompiled") if before["compiled"] else ("uncompiled", "compiled")
        yield f"It was begun {ways[0]} and finished {ways[1]}; {CAN_DIFFER}"
    if now["tiles"] and not before["tiles"]:
        yield (
            f"It was begun with memory policy '{before['policy']}' and decoded in tiles with "
            f"'{now['policy']}'; {CAN_DIFFER}"
        )


def digest(image: Image.Image) -> str:
    """A text that differs for images that differ in a pixel."""
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"cpu": "the CPU", "mps": "an Apple GPU"}.get(device.type, device.type)
