"""Image metadata: A1111's `parameters` for other programs, the `webbduck` chunk for ourselves.

The `webbduck` chunk is lossless JSON (ASCII, so that it fits a plain tEXt chunk):

    schema     2; in 1, `inpainting_fill` "keep" meant what is now `masked_content` "original"
    request    the GenerationRequest for this image alone (its own seed, num_images 1)
    index      position in the batch, from 0
    batch      the `OF_BATCH` of the batch; `batch_request` rebuilds its request
    kind, job_id, created (ISO 8601 with offset), versions, warnings
    facts      from the core: device, gpu, threads, dtype, model_hash, lora_hashes, embedding_hashes ...
    drawing    version of the generation code, see `reproducibility.DRAWING`
    stage, stage_of    in a kept stage: its name (`request.stages`) and the id of the final picture

See `infotext` for the limits of the `parameters` text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import PIL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ... import __version__
from ...errors import RequestError, StorageError
from ...models.dynamic_prompts import with_drawn_texts
from ...models.styles import all_finished
from ...request import GenerationRequest, LoraSelection, stages, upgrade_stored_request
from ...storage.images import WITH_TEXTS, open_picture
from . import (
    exif,
    infotext,
    infotext_embeddings,
    infotext_redraw,
    infotext_templates,
    png_text,
    stealth_alpha,
)
from .infotext import parameters_text
from .other_tools import reader
from .reproducibility import DRAWING

__all__ = ["CHUNK", "PARAMETERS", "batch_request", "build_chunk", "parameters_text", "png_info", "read"]

CHUNK = "webbduck"
PARAMETERS = "parameters"
UPSCALED = "webbduck-upscaled"
"""Chunk of an upscaled image: its original, upscaler and scale."""
ORIGINAL_PARAMETERS = "parameters-of-original"
"""Chunk of a redrawn image: the `parameters` of the picture that it was made from."""
SCHEMA = 2
OF_BATCH = ("seed", "num_images", "variation_seed", "combination")
"""Settings by which a batch differs from each of its images."""
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
"""File extension -> Pillow's format name."""
QUALITY = 95
"""Quality of JPEG and WebP, 1 to 100."""
PNG_LEVEL = 4
"""zlib's. Pillow's own, 6, takes about three times as long for files 4 to 6 % smaller, and the device waits
meanwhile."""
VERSION = f"WebbDuck {__version__}"


def build_chunk(
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
    """The content of the `webbduck` chunk for image `index` (from 0) of the batch `request`.

    `facts` should be JSON values; anything else is stored as text.
    """
    alone = request.for_single_image(index)
    if seed is not None:
        alone = alone.model_copy(update={"seed": seed})
    facts = dict(facts or {})
    return {
        "schema": SCHEMA,
        "request": alone.model_dump(mode="json"),
        "index": index,
        "batch": {name: getattr(request, name) for name in OF_BATCH},
        "kind": kind,
        "job_id": job_id,
        "created": created or datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {"webbduck": __version__, "pillow": PIL.__version__, **facts.pop("versions", {})},
        "warnings": list(warnings),
        "facts": facts,
        "drawing": DRAWING,
    }


def chunk_of_stage(chunk: Mapping[str, Any], stage: str, of: str) -> dict[str, Any]:
    """The chunk of a stage (`request.stages`) of a picture with this chunk. `of`: the picture's id."""
    request = stages.request_of(stage, GenerationRequest.validated(**chunk["request"]))
    facts = dict(chunk["facts"])
    if request.second_pass_model is None:
        facts.pop("second_pass", None)
    return {
        **chunk,
        "request": request.model_dump(mode="json"),
        "facts": facts,
        "stage": stage,
        "stage_of": of,
    }


def source_of(path: Path) -> str | None:
    """Id of the picture that this one is an upscaled version or a stage of, as recorded in the file."""
    try:
        with open_picture(path, path.name, WITH_TEXTS) as image:
            texts = exif.texts(image) if image.format != "PNG" else image.info
            upscaled, own = _json_object(texts.get(UPSCALED)), _json_object(texts.get(CHUNK))
    except (StorageError, TypeError):
        return None
    source = (upscaled or {}).get("from") or (own or {}).get("stage_of")
    return source if isinstance(source, str) else None


def save_picture(image: Image.Image, file: BinaryIO, format: str, chunk: Mapping[str, Any]) -> None:
    """Encode an image with its metadata; `format` is a key of `FORMATS`. PNG is lossless."""
    if format == "png":
        image.save(file, format="PNG", compress_level=PNG_LEVEL, pnginfo=png_info(chunk))
        return
    name = FORMATS[format]
    options = exif.save_options(parameters_of(chunk), json.dumps(chunk, default=str), name)
    if name == "JPEG":
        options["subsampling"] = 0  # no chroma subsampling
    image.save(file, format=name, quality=QUALITY, **options)


def save_upscaled(image: Image.Image, file: BinaryIO, original: Path, about: Mapping[str, Any]) -> None:
    """Encode an upscaled image as PNG, with all texts of its original and a record of the upscaling.

    `about` is JSON: `from` (id of the original), `scale`, `upscaler` ... With `redraw`, the request of a
    picture that was redrawn in tiles, `parameters` tells of that; the original's own text, where no chunk of
    ours says the same, is kept as `ORIGINAL_PARAMETERS`. Raises `StorageError` if the original cannot be
    read.
    """
    with open_picture(original, original.name) as before:
        texts = _texts(before, original)
    if (redraw := about.get("redraw")) is not None:
        if PARAMETERS in texts and CHUNK not in texts:
            texts.setdefault(ORIGINAL_PARAMETERS, texts[PARAMETERS])
        texts[PARAMETERS] = parameters_of(
            {"request": redraw["drawing"], "facts": about["facts"]},
            infotext_redraw.pairs(redraw, image.size),
        )
    info = PngInfo()
    for key, text in {**texts, UPSCALED: json.dumps(about, default=str)}.items():
        info.add_text(key, text)
    image.save(file, format="PNG", compress_level=PNG_LEVEL, pnginfo=info)


def png_info(chunk: Mapping[str, Any]) -> PngInfo:
    """The PNG text chunks for `chunk` (from `build_chunk`)."""
    info = PngInfo()
    info.add_text(PARAMETERS, parameters_of(chunk))  # Pillow writes iTXt if it is not Latin-1
    info.add_text(CHUNK, json.dumps(chunk, default=str))
    return info


def parameters_of(chunk: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> str:
    """The A1111 text for `chunk`. `more`: pairs that are added, or replace others.

    The prompts are the finished ones, with styles, wildcards and trigger phrases filled in, as A1111 writes
    them.
    """
    templates = all_finished(GenerationRequest.validated(**chunk["request"]))
    facts = chunk["facts"]
    request = with_drawn_texts(templates, facts, again=False)
    resolved = {"prompt": facts.get("resolved_prompt", request.prompt)}
    if "loras" in facts:
        resolved["loras"] = tuple(LoraSelection.model_construct(**lora) for lora in facts["loras"])
    request = request.model_copy(update=resolved)
    model_hash, lora_hashes = facts.get("model_hash"), dict(facts.get("lora_hashes") or {})
    hashes = {f"lora:{name}": value for name, value in lora_hashes.items()}
    embeddings = infotext_embeddings.written(facts)
    hashes |= infotext_embeddings.for_civitai(embeddings)
    if facts.get("vae_hash"):
        hashes = {"vae": facts["vae_hash"], **hashes}
    if model_hash:
        hashes = {"model": model_hash, **hashes}
    return parameters_text(
        request,
        request.seed,
        model_hash=model_hash,
        version=VERSION,
        second_pass=facts.get("second_pass"),
        extras={
            **({"Schedule type": facts["schedule"]} if "schedule" in facts else {}),
            "VAE hash": facts.get("vae_hash"),
            "Lora hashes": infotext.hash_pairs(lora_hashes),
            infotext_embeddings.KEY: infotext.hash_pairs(embeddings),
            "Hashes": hashes,
            **infotext_templates.pairs(templates, facts),
            **(more or {}),
        },
    )


def batch_request(chunk: Mapping[str, Any]) -> GenerationRequest:
    """The request of the whole batch. Raises `RequestError`."""
    return GenerationRequest.validated(**{**chunk["request"], **chunk["batch"]})


class TextMetadata(TypedDict):
    """What the text chunks of a picture say."""

    tool: str | None
    """"webbduck", "a1111", "sdnext", "fooocus", "invokeai", "comfyui", "swarmui", "novelai", "drawthings",
    "easydiffusion" or None."""
    webbduck: dict[str, Any] | None
    """Our chunk."""
    upscaled: dict[str, Any] | None
    """The record of the upscaling."""
    request: dict[str, Any] | None
    """The exact request of a picture of the studio, with its templates."""
    settings: dict[str, Any]
    """The request that draws the same picture, with the texts that were drawn; else what `other_tools`
    recognised."""
    prompt: str
    negative_prompt: str
    parameters: str | None
    """A1111's text."""
    fields: dict[str, str]
    """The key-value pairs of `parameters`."""
    texts: dict[str, str]
    """Raw chunks of other tools."""
    problems: list[str]
    """Sentences about damaged data."""
    notes: list[str]
    """Sentences about settings of other tools that are missing from `settings`."""


class PictureMetadata(TextMetadata):
    """All metadata of an image file. `width`, `height`: in pixels."""

    format: str | None
    width: int
    height: int


def read(path: Path, patience: float | None = None) -> PictureMetadata:
    """All metadata of an image file. Raises `StorageError` if it is not a readable image, or if it has to be
    decoded and the pixel budget did not allow that within `patience` seconds."""
    with open_picture(path, path.name, WITH_TEXTS) as image:
        format_, (width, height) = image.format, image.size
        texts = _texts(image, path)
        parsed = parse_texts(texts, path.name, image.size)
        if not parsed["settings"]:
            hidden = stealth_alpha.texts(image, path, patience)
            if hidden:
                parsed = parse_texts({**texts, **hidden}, path.name, image.size)
    return {"format": format_, "width": width, "height": height, **parsed}


def parse_texts(texts: Mapping[str, str], name: str, size: tuple[int, int] | None = None) -> TextMetadata:
    """Metadata from text chunks; `name` is for messages. Never raises.

    `size`: the image's size in pixels, used to find out which output of a workflow it is.
    """
    parsed = reader.read(texts, size)
    text = texts.get(PARAMETERS)
    is_json = text is not None and reader.table(text) is not None
    found: TextMetadata = {
        "tool": parsed.tool,
        "webbduck": None,
        "upscaled": _json_object(texts.get(UPSCALED)),
        "request": None,
        "settings": parsed.settings,
        "prompt": "",
        "negative_prompt": "",
        "parameters": text,
        "fields": dict(infotext.parse(text).fields) if text and not is_json else {},
        "texts": {key: value for key, value in texts.items() if key not in (PARAMETERS, CHUNK, UPSCALED)},
        "problems": [],
        "notes": list(parsed.notes),
    }
    if CHUNK in texts:
        _read_chunk(texts[CHUNK], name, found)
    for key in ("prompt", "negative_prompt"):
        found[key] = found[key] or found["settings"].get(key) or ""
    return found


def _texts(image: Image.Image, path: Path) -> dict[str, str]:
    """All text of the file, by PNG chunk name, whatever the file format."""
    if image.format != "PNG":
        return exif.texts(image)
    texts = _png_texts(image, path)
    if PARAMETERS not in texts and CHUNK not in texts:
        # Some converters and viewers rename the chunk with A1111's text.
        moved = next((text for text in texts.values() if infotext.parse(text).fields), None)
        if moved is not None:
            texts[PARAMETERS] = moved
    return texts


def _png_texts(image: Image.Image, path: Path) -> dict[str, str]:
    texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    if reader.is_known(texts) or CHUNK in texts:
        return texts
    texts |= png_text.texts(path)  # some programs write text after the pixel data
    if reader.is_known(texts) or CHUNK in texts:
        return texts
    return texts | exif.texts(image, png_text.exif(path) if "exif" not in image.info else None)


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_chunk(text: str, name: str, found: TextMetadata) -> None:
    chunk = _json_object(text)
    stored = chunk.get("request") if chunk else None
    if chunk is None or not isinstance(stored, dict):
        found["problems"].append(f"The settings inside {name} are damaged and were left out.")
        return
    stored = upgrade_stored_request(dict(stored))
    chunk = found["webbduck"] = _well_typed({**chunk, "request": stored}, name, found["problems"])
    found["tool"] = "webbduck"
    try:
        request = GenerationRequest.validated(**stored)
    except (RequestError, TypeError) as error:
        found["problems"].append(f"The settings inside {name} do not fit this version: {error}")
        return
    facts = chunk["facts"]
    found["request"] = request.model_dump(mode="json")
    found["settings"] = with_drawn_texts(request, facts, again=True).model_dump(mode="json")
    if request.embeddings is None:  # of a version that did not list them in the request
        found["settings"]["embeddings"] = list(facts.get("embedding_hashes") or ())
    shown = with_drawn_texts(request, facts, again=False)
    found["prompt"], found["negative_prompt"] = shown.prompt, shown.negative_prompt
    found["notes"] = []  # about the `parameters` text, which the chunk supersedes


def _well_typed(chunk: Mapping[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    """Our chunk without parts of the wrong type, so that callers can rely on the types."""
    facts = chunk.get("facts")
    good = {**chunk, "facts": dict(facts) if isinstance(facts, dict) else {}}
    wrong = [] if facts is None or isinstance(facts, dict) else ["facts"]
    for table, key, kind in ((good, "warnings", list), (good["facts"], "lora_hashes", dict),
                             (good["facts"], "embedding_hashes", dict),
                             (good["facts"], "model_hash", str),
                             (good["facts"], "vae_hash", str)):  # fmt: skip
        if table.get(key) is not None and not isinstance(table[key], kind):
            wrong.append(key)
            del table[key]
    for key in ("lora_hashes", "embedding_hashes"):
        hashes = good["facts"].get(key) or {}
        if not all(isinstance(value, str) for value in hashes.values()):
            wrong.append(key)
            del good["facts"][key]
    if wrong:
        problems.append(f"Of the record inside {name} this is damaged and was left out: {', '.join(wrong)}.")
    return good
