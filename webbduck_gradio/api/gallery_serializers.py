"""Serializes runs, images and deletions to dicts for the Gallery tab, small enough for endless scrolling.

The page renders them with textContent, never as markup, so they contain plain text.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RequestError, StorageError, WebbDuckError
from ..gallery import metadata
from ..gallery.outputs import is_image_id
from ..gallery.run_layout import ImageInfo, RunInfo
from ..gallery.trash import TrashEntry
from ..models.prompt_resolver import is_information
from ..request import SETTINGS, Setting, in_form_order
from ..services import Services
from .serializers import check_span, effective_settings_of_picture, trash_view

MAX_PAGE = 200
"""Limit of runs or images in one answer."""
MAX_CHOSEN = 5000
"""Limit of images that can be selected at once."""
MAX_QUERY = 400
MAX_ENTRIES = 200
IMAGES_PER_ENTRY = 24

MORE_LABELS = {"model_hash": "Checkpoint hash", "schedule": "Schedule", "size": "Size"}
"""Labels of listed values that are not settings of a request."""
PLACES = {setting.name: place for place, setting in enumerate(in_form_order(SETTINGS))}
UNLISTED = {"prompt", "negative_prompt", "width", "height", "image", "mask", "num_images", "lora_hashes",
            "embedding_hashes", "embeddings", "paths"}  # fmt: skip


def is_flat(asked: Any) -> bool:
    """Whether the page requests single images instead of runs."""
    return isinstance(asked, dict) and bool(asked.get("flat"))


def query_of(asked: Any) -> tuple[str, str]:
    """Search and order that the page requests. Raises `RequestError` for an invalid search."""
    page = asked if isinstance(asked, dict) else {}
    query = page.get("query", "")
    if not isinstance(query, str) or len(query) > MAX_QUERY:
        raise RequestError(f"The search can have at most {MAX_QUERY} characters.")
    return query, page.get("order", "newest")


def span_of(asked: Any, most: int = MAX_PAGE) -> tuple[int, int]:
    """Start and length of the requested page. Raises `RequestError` for invalid values."""
    page = asked if isinstance(asked, dict) else {}
    start, limit = page.get("start", 0), page.get("limit", 60)
    check_span(start, limit, most)
    return start, limit


def ids_of(asked: Any) -> list[str]:
    """Image ids that the page sent. Raises `RequestError` for anything else, and for too many."""
    ids = asked if isinstance(asked, list) else []
    if not 1 <= len(ids) <= MAX_CHOSEN or not all(is_image_id(each) for each in ids):
        raise RequestError(f"Select from 1 to {MAX_CHOSEN:,} pictures.")
    return list(dict.fromkeys(ids))


def card(image: ImageInfo) -> dict[str, Any]:
    """An image of the grid."""
    found: dict[str, Any] = {
        "id": image.id,
        "v": round(image.modified * 1000) % 10**9,
        "bytes": image.size_bytes,
    }
    if image.variants:
        found["variants"] = list(image.variants)
    if image.favourite:
        found["favourite"] = True
    if image.problem:
        found["problem"] = image.problem
    if image.seed is not None:
        found["seed"] = image.seed
    if image.width and image.height:
        found |= {"w": image.width, "h": image.height}
    return found


def section(run: RunInfo) -> dict[str, Any]:
    """A run of the grid, with its prompt and facts."""
    return {
        "run": run.id,
        "created": run.created,
        "problem": run.problem,
        "prompt": run.prompt,
        "facts": list(run.facts),
        "total": run.total,
        "images": [card(image) for image in run.images],
    }


def listing(services: Services, asked: Any) -> dict[str, Any]:
    """A page of runs, or of single images if `is_flat`."""
    query, order = query_of(asked)
    start, limit = span_of(asked)
    if is_flat(asked):
        images = services.outputs.images(start, limit, query, order)
        return {"start": start, "images": [{**card(image), "prompt": image.prompt} for image in images]}
    runs = services.outputs.runs(start, limit, query, order, with_meta=False)
    return {"start": start, "runs": [section(run) for run in runs]}


def layout(services: Services, asked: Any) -> dict[str, Any]:
    """Sizes and days for the grid: `shapes`, `days` and `counts` of `GridLayout`; the `total` if `is_flat`.

    `complete` False: the folders are still being scanned, and more images may follow. `left_out`: names of
    entries that cannot be shown because of their name.
    """
    query, order = query_of(asked)
    complete = services.outputs.complete  # read first: a scan that ends later increases the version
    found = services.outputs.layout(query, order, is_flat(asked))
    sizes = {"shapes": found.shapes, "days": found.days}
    sizes |= {"total": len(found.counts)} if is_flat(asked) else {"counts": found.counts}
    return {**sizes, "complete": complete, "left_out": services.outputs.skipped.names()}


def with_copies(services: Services, ids: Iterable[str]) -> list[str]:
    """These images and the upscaled images shown with them."""
    found: dict[str, None] = {}
    copies: dict[str, dict[str, tuple[str, ...]]] = {}
    for image_id in ids:
        run = image_id.rpartition("/")[0]
        if run not in copies:
            copies[run] = copies_in(services, run)
        found[image_id] = None
        found.update(dict.fromkeys(copies[run].get(image_id, ())))
    return list(found)


def copies_in(services: Services, run: str) -> dict[str, tuple[str, ...]]:
    """Ids of the upscaled images of a run, by original; {} if the run is not in the index."""
    try:
        return {image.id: image.variants for image in services.outputs.run(run).images if image.variants}
    except WebbDuckError:
        return {}


def needed(services: Services, ids: Iterable[str]) -> str | None:
    """A message if a waiting or running job needs one of these images."""
    chosen = set(ids)
    running = services.store.running()
    for job in [*([running] if running else []), *services.store.queued()]:
        image = getattr(job.request, "image", None)
        if image in chosen:
            where = "running" if job.state == "running" else "waiting"
            return f"{image} is needed by a {where} job ({job.kind}); cancel that first, or let it finish."
    return None


def refuse_needed(services: Services, ids: Iterable[str]) -> None:
    """Raises `RequestError` if a waiting or running job needs one of these images."""
    reason = needed(services, ids)
    if reason:
        raise RequestError(reason)


def picture(services: Services, image_id: Any) -> dict[str, Any]:
    """The details of an image for the lightbox. Raises `NotFoundError`, `StorageError`."""
    path = services.outputs.resolve(image_id)
    found = metadata.read(path)
    chunk = found["webbduck"] or {}
    facts = chunk.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    stat = path.stat()
    resolved = facts.get("resolved_prompt")
    warnings = [text for text in chunk.get("warnings") or () if isinstance(text, str)]
    return {
        "id": image_id,
        "prompt": found["prompt"],
        "negative_prompt": found["negative_prompt"],
        "drawn": resolved if isinstance(resolved, str) and resolved != found["prompt"] else None,
        "tool": found["tool"],
        "rows": rows(effective_settings_of_picture(services, found) or found["settings"], facts),
        "parameters": found["parameters"],
        "raw": None if found["settings"] else shortened("\n".join(found["texts"].values())) or None,
        "reusable": bool(found["settings"]),
        "exact": found["request"] is not None,
        "warnings": [text for text in warnings if not is_information(text)],
        "information": [text for text in warnings if is_information(text)],
        "problems": found["problems"],
        "upscaled": found["upscaled"],
        "file": {
            "size_bytes": stat.st_size,
            "format": found["format"],
            "width": found["width"],
            "height": found["height"],
            "modified": stat.st_mtime,
            "sha256": sha256(path, stat.st_mtime_ns, stat.st_size),
        },
        **around(services, image_id),
    }


def around(services: Services, image_id: str) -> dict[str, Any]:
    """The images of its run, its upscaled images, and its original if it is one itself."""
    try:
        run = services.outputs.run(image_id.rpartition("/")[0])
    except WebbDuckError:  # not in the index yet
        return {"run": [], "favourite": False, "variants": [], "original": None, "created": None}
    own = next((image for image in run.images if image.id == image_id), None)
    original = next((image for image in run.images if image_id in image.variants), None)
    return {
        "run": [card(image) for image in run.images],
        "favourite": image_id in services.outputs.favourites,
        "variants": list(own.variants if own else original.variants if original else ()),
        "original": original.id if original else None,
        "created": run.created,
    }


def rows(settings: Mapping[str, Any], facts: Mapping[str, Any]) -> list[list[str]]:
    """Settings for the lightbox's panel: [label, text] each."""
    settings = dict(settings)
    if settings.get("width") and settings.get("height"):
        settings["size"] = f"{settings['width']} × {settings['height']} px"
    if isinstance(facts.get("model_hash"), str):
        settings["model_hash"] = facts["model_hash"]
    listed: list[list[str]] = []
    for name in sorted(settings, key=_place):
        value, setting = settings[name], SETTINGS.get(name)
        if name in UNLISTED or value in (None, ""):
            continue
        if setting is None:
            listed.append([MORE_LABELS.get(name, name.replace("_", " ").capitalize()), str(value)])
        elif setting.control == "loras":
            listed += [["LoRA", _lora_text(lora)] for lora in value]
        elif setting.control == "styles":
            listed += [["Style", style["name"]] for style in value]
        elif setting.control == "details":
            listed += [[setting.label, text] for text in _detail_texts(value, facts.get("details"))]
        else:
            listed.append([setting.label, _value_text(setting, value, facts)])
    embeddings = settings.get("embedding_hashes") or facts.get("embedding_hashes") or {}
    listed += [["Embedding", f"{name} ({hash})"] for name, hash in embeddings.items()]
    for key, label in (("image", "Made from"), ("mask", "Mask")):
        if settings.get(key):
            source = facts.get("source_name") or "an input picture"
            listed.append([label, str(source) if key == "image" else "used"])
    return listed


def _place(name: str) -> float:
    """Sort key by the form's order; the checkpoint's hash after its name, the size in place of the width."""
    beside = {"model_hash": "base_model", "size": "width"}.get(name, name)
    return PLACES.get(beside, len(PLACES)) + (0.5 if beside != name else 0)


def _lora_text(lora: Mapping[str, Any]) -> str:
    weight, te = lora.get("weight"), lora.get("te_weight")
    parts = [lora["name"] if weight is None else f"{lora['name']} × {weight:g}"]
    if te is not None:
        parts.append(f"text encoders × {te:g}")
    if blocks := lora.get("blocks"):
        parts.append("blocks " + (blocks if isinstance(blocks, str) else " ".join(f"{n:g}" for n in blocks)))
    if lora.get("start") or lora.get("end") is not None:
        parts.append(
            f"steps {lora.get('start') or 0:.0%} to {1 if lora.get('end') is None else lora['end']:.0%}"
        )
    return ", ".join(parts)


def _detail_texts(details: Sequence[Mapping[str, Any]], found: Any) -> Iterator[str]:
    """A text for each pass: its detector, and which regions of this picture it found."""
    found = found if isinstance(found, list) else []
    for number, each in enumerate(details):
        text = f"{each['detector']}, strength {each['strength']:g}"
        seen = found[number] if number < len(found) and isinstance(found[number], dict) else {}
        regions = [region for region in seen.get("regions") or () if isinstance(region, dict)]
        named = [f"{region.get('class')} {float(region.get('confidence') or 0):.0%}" for region in regions]
        if "regions" in seen:
            text += f": {', '.join(named) or 'nothing found'}"
        yield text


def _value_text(setting: Setting, value: Any, facts: Mapping[str, Any]) -> str:
    text = setting.called(value) + (setting.unit and f" {setting.unit}")
    kind = facts.get("second_pass")
    if setting.name == "second_pass_mode" and value == "auto" and isinstance(kind, str):
        return f"{text}, which was {setting.called(kind)}"
    return text


def trash(services: Services) -> dict[str, Any]:
    """The newest deletions, and the totals."""
    entries = services.trash.entries()
    return {
        "entries": [entry_view(entry) for entry in entries[:MAX_ENTRIES]],
        "deletions": len(entries),
        "pictures": sum(len(entry.images) for entry in entries),
        "size_bytes": services.trash.size_bytes(),
    }


def entry_view(entry: TrashEntry) -> dict[str, Any]:
    """A deletion for the trash list, with the number of its images and the ids of the first ones."""
    return {
        **trash_view(entry),
        "count": len(entry.images),
        "images": list(entry.images[:IMAGES_PER_ENTRY]),
    }


@functools.lru_cache(1024)
def sha256(path: Path, _modified: int, _size: int) -> str:
    """SHA-256 of a file, cached as long as its time and size do not change. Raises `StorageError`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read ({(error.strerror or 'error').lower()}).") from error


def shortened(text: str, most: int = 4000) -> str:
    """A text for display, truncated after `most` characters with a note."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most:,} more characters)"
