"""Probes LoRA files by their header: architecture, kind and the trainer's metadata.

The kind follows from tensor names (kohya's sd-scripts, peft, LyCORIS), the architecture from the width of the
cross-attention that the LoRA was trained for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ..catalog.lookup import HASH
from ..distilled import in_metadata
from ..triggers import phrase, readable
from .converted import SOURCE
from .detect import LORA_KEY, REFUSED_KINDS, architecture, lora_kind
from .embedding import is_embedding
from .lora_alpha import peft_configs
from .lora_faults import faults
from .lora_keys import read_names
from .lora_kinds import kinds_of
from .safetensors_header import PICKLE_ENDINGS, PICKLE_REASON, Header, read_header
from .sidecars import shortened

NAMES = {
    "sdxl": "SDXL",
    "sdxl-inpaint": "SDXL inpainting",
    "sdxl-refiner": "SDXL refiner",
    "sdxl-edit": "SDXL instruct-pix2pix",
    "sdxl-lcm": "distilled SDXL (full LCM)",
    "ssd-1b": "SSD-1B",
    "vega": "Segmind Vega",
    "playground": "Playground 2.5",
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX",
}
"""Display names of architectures."""

EMBEDDING = "is an embedding (textual inversion)"
"""Beginning of the reason why an embedding among the LoRAs is none."""
CANNOT_BE_APPLIED = "is of the kind {}, which cannot be applied; choose another file"
EMPTY_HASH = "e3b0c442"
"""Beginning of the SHA-256 of an empty file, which some programs write."""
MOST_TENSORS = 100_000
"""The largest LoRAs have some ten thousand."""
TOP_TAGS = 6
"""Training tags kept in the catalog; `training_metadata` reads all."""


@dataclass(frozen=True)
class LoraInfo:
    """Facts about a LoRA. `context`: width of the cross-attention that it was trained for (0: unknown)."""

    arch: str
    kind: str
    context: int = 0
    trigger: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    """Most frequent training tags."""
    thumbnail: bool = False
    """Whether it has an embedded image (`modelspec.thumbnail`)."""
    output_name: str = ""
    """Name given by the trainer (`ss_output_name`)."""
    said_hash: str = ""
    """Hash in its metadata (`sshs_model_hash`); AUTOMATIC1111 writes it into images unchecked."""
    fault: str = ""
    """Why it cannot be used, as a predicate for the file's name; "" if nothing is wrong."""
    caveats: tuple[str, ...] = ()
    """What is ignored or assumed, each as a predicate for the file's name."""
    distilled: dict[str, Any] | None = None
    """Fields of `Distilled`, as far as its metadata say so."""


_WIDTHS = {2048: "sdxl", 1280: "sdxl-refiner", 768: "sd1", 1024: "sd2"}
_DOWN = re.compile(
    r"^.*attn2[._](?:processor[._])?to_k.*(?:lora_down|lora_A|lora\.down|lora_linear_layer\.down)(?:\.[^.\n]+)?"
    r"(?:\.weight)?$",
    re.MULTILINE,
)
_CONTEXT = re.compile(r"attn2[._](?:processor[._])?to_[kv]$")
_OTHER_WIDTHS = re.compile(r"attn2[._]to_[kv]\.(?:hada|lokr|diff|[ab][12]\.)")
_DEEP = re.compile(
    r"(?:attentions[._]\d+|(?:in|out)put_blocks[._]\d+[._]1|middle_block[._]1)[._]transformer_blocks[._][1-9]"
)
_SECOND = re.compile(r"^(?:lora_te2_|text_encoder_2\.|text_encoders\.clip_g\.|clip_g\.)", re.MULTILINE)
_FIRST = re.compile(r"^(?:lora_te1_|text_encoder\.|text_encoders\.clip_l\.|clip_l\.)", re.MULTILINE)
_BLOCKS = re.compile(r"(?:(?:down|up|input|output)_blocks|(?:mid|middle)_block)[._]")
# Patterns are matched against all names at once, one per line: there are thousands of names and files.


def inspect_lora(path: Path) -> LoraInfo:
    """Probe a LoRA file. Raises `ModelError` for broken files and files that are not LoRAs."""
    if path.suffix.lower() in PICKLE_ENDINGS:
        raise ModelError(f"{path.name} {PICKLE_REASON}.")
    header = read_header(path)
    if len(header.tensors) > MOST_TENSORS:
        raise ModelError(
            f"{path.name} has {len(header.tensors):,} tensors, far more than any LoRA; download it again."
        )
    shared = header.derived
    if "lora" not in shared:
        names = "\n".join(header.tensors)
        shared["lora"] = LORA_KEY.search(names) is not None
        shared["kind"] = lora_kind(header, names) if shared["lora"] else ""
        shared["shape"] = _shape(header, names)
        if shared["kind"] in REFUSED_KINDS:
            shared["faults"] = CANNOT_BE_APPLIED.format(shared["kind"]), ()
        else:
            shared["faults"] = faults(header)
    if not shared["lora"]:
        arch = architecture(header)
        if is_embedding(header):
            raise ModelError(f"{path.name} {EMBEDDING}, not a LoRA; it is listed with the embeddings.")
        what = f"a {NAMES[arch]} checkpoint" if arch in NAMES else "of an unknown kind, not a LoRA"
        raise ModelError(f"{path.name} is {what}; move it out of the lora folder.")
    certain, likely, context = shared["shape"]
    arch = certain or _declared_architecture(header.metadata) or likely
    metadata = header.metadata
    said = metadata.get("sshs_model_hash", "").strip().lower()
    tags = tuple(tag[:80] for tag, _ in training_tags(metadata)[:TOP_TAGS])
    kind, fault, caveats = _with_peft_config(path, header, shared["kind"], *shared["faults"])
    return LoraInfo(
        arch=arch,
        kind=kind,
        context=context,
        trigger=phrase(metadata.get("modelspec.trigger_phrase")),
        description=shortened(readable(metadata.get("modelspec.description", "")).strip(), 2000),
        tags=tags,
        thumbnail=metadata.get("modelspec.thumbnail", "").startswith("data:image/"),
        output_name=readable(metadata.get("ss_output_name", "")).strip()[:255],
        said_hash=said if HASH.fullmatch(said) and not said.startswith(EMPTY_HASH) else "",
        fault=fault,
        caveats=caveats,
        distilled=in_metadata(metadata, "LoRA"),
    )


def _with_peft_config(
    path: Path, header: Header, kind: str, fault: str, caveats: tuple[str, ...]
) -> tuple[str, str, tuple[str, ...]]:
    """Kind, fault and caveats, taking peft's configuration into account."""
    try:
        configs = peft_configs(header.metadata, path)
    except ValueError as error:
        return kind, fault or f"cannot be used: {error}; get it again", caveats
    other = next((config.kind for config in configs.values() if config.kind), None)
    if other is not None and other.upper() == kind == "IA3":
        other = None
    by_peft = any(name.startswith("base_model.model.") for name in header.tensors)
    if by_peft and not configs and not any(name.endswith(".alpha") for name in header.tensors):
        caveats += (
            "has no alpha, which peft stores in adapter_config.json; alpha is assumed to equal the rank",
        )
    if other == "DoRA":
        if kind != "DoRA":
            fault = fault or "is incomplete: it is a DoRA without magnitudes; get it again"
    elif other is not None:
        kind, fault = other, fault or CANNOT_BE_APPLIED.format(other)
    return kind, fault, caveats


def _shape(header: Header, names: str) -> tuple[str, str, int]:
    """(architecture if certain, else ""; likely architecture; width of the cross-attention, 0 if unknown)."""
    if "double_blocks" in names or "single_transformer_blocks" in names:
        return "flux", "flux", 0
    if "joint_blocks" in names:
        return "sd3", "sd3", 0
    # Only SDXL has a second text encoder, or several transformer blocks per attention.
    sdxl = _SECOND.search(names) is not None or _DEEP.search(names) is not None
    for found in _DOWN.finditer(names):
        shape = header.tensors[found[0]].shape
        if len(shape) >= 2:
            return _WIDTHS.get(shape[1], ""), "sdxl" if sdxl else "unknown", shape[1]
    if width := _width_of_others(header, names):
        return _WIDTHS.get(width, ""), "sdxl" if sdxl else "unknown", width
    if sdxl:
        return "sdxl", "sdxl", 0
    if "lora_te_" in names:  # kohya's name for the single text encoder of older models
        return "", "sd1", 0
    # Convolutions or the first text encoder only: probably SDXL; shapes are checked against the checkpoint.
    return "", "sdxl" if _FIRST.search(names) or _BLOCKS.search(names) else "unknown", 0


def _width_of_others(header: Header, names: str) -> int:
    """Width of the cross-attention that a LyCORIS file of another kind is made for; 0 if unknown."""
    if not _OTHER_WIDTHS.search(names):
        return 0
    for module, roles in read_names(header.tensors).modules.items():
        kinds = kinds_of(roles)
        if not _CONTEXT.search(module) or not kinds or kinds[0].lacks(roles):
            continue
        outline = kinds[0].outline({role: header.tensors[name].shape for role, name in roles.items()})
        if outline is not None and outline.rest > 0:
            return outline.rest
    return 0


def _declared_architecture(metadata: Mapping[str, str]) -> str:
    """Architecture in the trainer's metadata, used only if the shapes are inconclusive."""
    said = (metadata.get("ss_base_model_version") or metadata.get("modelspec.architecture") or "").lower()
    if "refiner" in said:
        return "sdxl-refiner"
    for mark, arch in (
        ("sdxl", "sdxl"),
        ("stable-diffusion-xl", "sdxl"),
        ("stable-diffusion-v1", "sd1"),
        ("sd_v1", "sd1"),
        ("stable-diffusion-v2", "sd2"),
        ("sd_v2", "sd2"),
        ("sd3", "sd3"),
        ("flux", "flux"),
    ):
        if mark in said:
            return arch
    return "sd2" if metadata.get("ss_v2", "").lower() == "true" else ""


def training_tags(metadata: Mapping[str, str]) -> list[tuple[str, int]]:
    """(tag, count) over all training folders, most frequent first; [] if not recorded."""
    counts: Counter[str] = Counter()
    try:
        for tags in json.loads(metadata.get("ss_tag_frequency", "{}")).values():
            for tag, count in tags.items():
                counts[readable(tag).strip()] += int(count)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return []
    counts.pop("", None)
    return counts.most_common()


FACTS = {
    SOURCE: "Converted from",
    "ss_base_model_version": "Base",
    "ss_sd_model_name": "Trained on",
    "ss_network_module": "Network",
    "ss_network_dim": "Rank",
    "ss_network_alpha": "Alpha",
    "ss_resolution": "Resolution",
    "ss_num_train_images": "Training images",
    "ss_epoch": "Epoch",
    "ss_steps": "Steps",
    "ss_output_name": "Trained as",
    "ss_training_comment": "Comment",
    "modelspec.title": "Title",
    "modelspec.author": "Author",
    "modelspec.license": "License",
    "modelspec.date": "Date",
    "modelspec.architecture": "Architecture",
    "modelspec.usage_hint": "Usage",
    "modelspec.tags": "Tags",
}
"""Metadata key -> label, for the entries shown individually."""


MOST_TAGS = 200
"""Maximum number of training tags returned, the most frequent ones."""
LONGEST_TAG, LONGEST_FACT, LONGEST_TEXT, MOST_TEXT = 200, 500, 20_000, 200_000
"""Maximum characters of a tag, a fact, one metadata text, and all metadata together."""


def training_metadata(path: Path) -> dict[str, Any]:
    """Training metadata of a LoRA: `rank`, `tensors` (count), `facts` (label: text), `tags` [(tag, count)],
    `more_tags` (number of further tags), raw `metadata`, and a sentence `left_out` about omitted entries or
    "".

    Texts that are too long are replaced by their length. Raises `ModelError`.
    """
    header = read_header(path)
    facts = {
        label: _shown(header.metadata[key], LONGEST_FACT)
        for key, label in FACTS.items()
        if header.metadata.get(key)
    }
    ranks = Counter(
        min(tensor.shape[:2])
        for name, tensor in header.tensors.items()
        if len(tensor.shape) >= 2 and LORA_KEY.search(name)
    )
    tags = training_tags(header.metadata)
    metadata, left = _metadata(header.metadata)
    return {
        "rank": ranks.most_common(1)[0][0] if ranks else None,
        "tensors": len(header.tensors),
        "facts": facts,
        "tags": [(shortened(tag, LONGEST_TAG), count) for tag, count in tags[:MOST_TAGS]],
        "more_tags": max(0, len(tags) - MOST_TAGS),
        "metadata": metadata,
        "left_out": f"{left:,} further entries are not shown; the file holds them." if left else "",
    }


def _metadata(said: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Metadata up to the size limits, and the number of omitted entries."""
    shown_metadata: dict[str, str] = {}
    remaining = MOST_TEXT
    texts = {key: text for key, text in said.items() if key != "modelspec.thumbnail"}
    for key, text in texts.items():
        shown = _shown(text, LONGEST_TEXT)
        if len(key) + len(shown) > remaining or len(key) > LONGEST_FACT:
            continue
        remaining -= len(key) + len(shown)
        shown_metadata[key] = shown
    return shown_metadata, len(texts) - len(shown_metadata)


def _shown(text: str, most: int) -> str:
    return text if len(text) <= most else f"({len(text):,} characters, not shown)"


def embedded_picture(path: Path) -> str:
    """The data URL of the image embedded in a LoRA; "" if there is none. Raises `ModelError`."""
    return read_header(path).metadata.get("modelspec.thumbnail", "")[:MAX_PICTURE]


MAX_PICTURE = 8_000_000
"""Maximum characters of an embedded image."""
