"""What a picture says about itself: A1111's `parameters` for everyone, our `webbduck` chunk for us.

The `webbduck` chunk is JSON (ASCII, so that it is a plain tEXt chunk) and loses nothing:

    schema     1
    request    the GenerationRequest that makes THIS picture alone (its own seed, num_images 1)
    index      its place in the batch, from 0
    batch      {"seed", "num_images"} of the batch; `batch_request` puts the whole request together
    kind, job_id, created (ISO 8601 with offset), versions, warnings
    facts      what the core knows: device, dtype, model_hash, lora_hashes ...

See `infotext` for what the `parameters` text cannot carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import PIL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .. import __version__
from ..errors import RequestError
from ..request import GenerationRequest
from . import infotext
from .files import open_picture
from .infotext import parameters_text

__all__ = ["CHUNK", "PARAMETERS", "batch_request", "describe", "parameters_text", "png_info", "read"]

CHUNK = "webbduck"
PARAMETERS = "parameters"
SCHEMA = 1
VERSION = f"WebbDuck {__version__}"


def describe(
    request: GenerationRequest,
    index: int,
    *,
    seed: int | None = None,
    kind: str = "generate",
    job_id: str | None = None,
    created: str | None = None,
    warnings: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of the `webbduck` chunk for picture `index` (from 0) of the batch `request`.

    `facts` must be JSON values; what is none is recorded as its text.
    """
    alone = request.alone(index)
    if seed is not None:
        alone = alone.model_copy(update={"seed": seed})
    facts = dict(facts or {})
    return {
        "schema": SCHEMA,
        "request": alone.model_dump(mode="json"),
        "index": index,
        "batch": {"seed": request.seed, "num_images": request.num_images},
        "kind": kind,
        "job_id": job_id,
        "created": created or datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {"webbduck": __version__, "pillow": PIL.__version__, **facts.pop("versions", {})},
        "warnings": list(warnings),
        "facts": facts,
    }


def png_info(chunk: Mapping[str, Any]) -> PngInfo:
    """The PNG text chunks for a picture with this description (from `describe`)."""
    info = PngInfo()
    info.add_text(PARAMETERS, parameters_of(chunk))  # Pillow takes iTXt where Latin-1 does not suffice
    info.add_text(CHUNK, json.dumps(chunk, default=str))
    return info


def parameters_of(chunk: Mapping[str, Any]) -> str:
    """The A1111 text for a description."""
    request = GenerationRequest.of(**chunk["request"])
    facts = chunk["facts"]
    model_hash, lora_hashes = facts.get("model_hash"), dict(facts.get("lora_hashes") or {})
    hashes = {f"lora:{name}": value for name, value in lora_hashes.items()}
    if model_hash:
        hashes = {"model": model_hash, **hashes}
    return parameters_text(
        request,
        request.seed,
        model_hash=model_hash,
        version=VERSION,
        extras={
            "RNG": facts.get("rng"),
            "Lora hashes": infotext.lora_hash_pairs(lora_hashes),
            "Hashes": hashes,
        },
    )


def batch_request(chunk: Mapping[str, Any]) -> GenerationRequest:
    """The request of the whole batch that the picture came from. Raises `RequestError`."""
    return GenerationRequest.of(**{**chunk["request"], **chunk["batch"]})


def read(path: Path) -> dict[str, Any]:
    """What the picture tells. Raises `StorageError` where it is no readable picture.

    Keys: `format`, `width`, `height` (pixels); `tool` ("webbduck", "a1111" or None); `webbduck` (our chunk
    or None); `request` (the exact request as a dict, or None); `parameters` (A1111's text or None);
    `fields` (its pairs), `prompt`, `negative_prompt` (text, "" where unknown); `problems` (sentences).
    """
    with open_picture(path, path.name) as image:
        found: dict[str, Any] = {
            "format": image.format,
            "width": image.width,
            "height": image.height,
            "tool": None,
            "webbduck": None,
            "request": None,
            "parameters": None,
            "fields": {},
            "prompt": "",
            "negative_prompt": "",
            "problems": [],
            "settings": {},
        }
        texts = _texts(image)
    text = texts.get(PARAMETERS)
    if text is not None:
        parsed = infotext.parse(text)
        found |= {
            "parameters": text,
            "fields": dict(parsed.fields),
            "prompt": parsed.prompt,
            "negative_prompt": parsed.negative_prompt,
            "tool": "a1111" if parsed.fields else None,
        }
    if CHUNK in texts:
        _read_chunk(texts[CHUNK], path.name, found)
    found["settings"] = found["request"] or _settings_of(found)
    return found


def _settings_of(found: Mapping[str, Any]) -> dict[str, Any]:
    seed = found["fields"].get("Seed", "")
    return {
        "prompt": found["prompt"],
        "negative_prompt": found["negative_prompt"],
        "base_model": found["fields"].get("Model"),
        "scheduler": found["fields"].get("Sampler"),
        "seed": int(seed) if seed.isdecimal() else None,
    }


def _texts(image: Image.Image) -> dict[str, str]:
    texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    if image.format == "PNG" and PARAMETERS not in texts and CHUNK not in texts:
        # Some programs write their text after the pixels; Pillow gets there by decoding them.
        texts = dict(getattr(image, "text", {}))
    return texts


def _read_chunk(text: str, name: str, found: dict[str, Any]) -> None:
    try:
        chunk = json.loads(text)
        asked = chunk["request"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found["problems"].append(f"The settings inside {name} are damaged and were left out.")
        return
    found["webbduck"] = chunk
    found["tool"] = "webbduck"
    try:
        request = GenerationRequest.of(**asked)
    except (RequestError, TypeError) as error:
        found["problems"].append(f"The settings inside {name} do not fit this version: {error}")
        return
    found |= {
        "request": request.model_dump(mode="json"),
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
    }
