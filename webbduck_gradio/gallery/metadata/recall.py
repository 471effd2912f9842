"""Recalls settings from any image: our own exactly, those of other tools as far as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ...errors import NotFoundError, RequestError
from ...models.catalog.lookup import Named, find
from ...request import MAX_PROMPT, SETTINGS, GenerationRequest, LoraSelection
from ...request.applicability import without_effect
from ...request.hires_fields import LANCZOS, LATENT_UPSCALERS
from ...request.samplers import find_sampler
from ...request.tiles import Tiling
from .. import metadata
from . import (
    infotext_details,
    infotext_embeddings,
    infotext_redraw,
    infotext_styles,
    infotext_templates,
    reproducibility,
)
from .other_tools import soft_inpainting, values
from .recall_catalog import Catalog, InputImages, Model, Upscaler

RESET_VALUES: dict[str, Any] = {
    name: list(setting.default) if isinstance(setting.default, tuple) else setting.default
    for name, setting in SETTINGS.items()
    if setting.reset == "default"
}
"""What a picture's settings mean where they say nothing: nothing left over from the form before."""

IGNORED_INFOTEXT_KEYS = {
    *(setting.infotext.key.casefold() for setting in SETTINGS.values() if setting.infotext),
    *(name.casefold() for name in (
        "Version", "Lora hashes", infotext_embeddings.KEY, "Hashes", "Model hash", "VAE hash", "RNG",
        "Sampler", "Schedule type", "Size-1", "Size-2", "Size", "User", "Style Selector Enabled", "Pad conds",
        "Metadata Scheme", "Lora weights", "Scheduler", "App", "Parser", "Backend", "pag_enabled",
        "dynthres_enabled", "Tiling axis", "Seed resize from-1", "Seed resize from-2", "Eta DDIM",
        "Hires resize-1", "Hires resize-2", "Second pass", "Old prompt editing timelines",
        soft_inpainting.ENABLED, *infotext_templates.KEYS.values(),
    )),
    *infotext_details.KEYS,
}  # fmt: skip
"""A1111's pairs that are taken over, go with one that is, or change nothing in the picture."""


NEEDED = {
    "mask": ("image",),
    "outpaint": ("image", "width", "height"),
    "schedule": ("sampler",),
    "seed_resize_width": ("seed_resize_height",),
    "seed_resize_height": ("seed_resize_width",),
    **dict.fromkeys(("hires_scale", "hires_width", "hires_height"), ("width", "height")),
}
"""Fields that are valid with others only."""
REDRAWN = frozenset(infotext_redraw.KEYS.values())
"""Pairs of a redrawing, which are offered with its dialog."""
BY_HASH = "with the hash "
"""Placeholder name of a checkpoint of which only the hash is recorded."""


def read_settings(
    path: Path, catalog: Catalog, inputs: InputImages, here: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Settings of an image for the form: (values, notes).

    `values`: fields of `GenerationRequest` as JSON values, each valid by itself or a text that is too long.
    Features that the image did not use (LoRAs, input image ...) are included with `RESET_VALUES`. Missing
    fields keep the form's value. {} if the image records nothing.
    `notes`: a sentence for everything left out, replaced or not found, and for expected differences in the
    result; `here` is the core's description of the machine. Raises `StorageError` if the file is not a
    readable image.
    """
    found = metadata.read(path)
    values, notes = _for_form(found, catalog, inputs)
    chunk = found["webbduck"]
    if values and found["request"] and chunk is not None:
        size = _size_of(values.get("base_model"), catalog)
        notes = [*notes, *reproducibility.differences(chunk, here, size)]
    return values, notes


def _size_of(name: Any, catalog: Catalog) -> str | None:
    """ "small" or "large"; None for a checkpoint that is not installed."""
    found = next((each for each in catalog.checkpoints() if each.name == name), None)
    is_large = getattr(found, "is_large", None)
    return None if is_large is None else "large" if is_large else "small"


def read_text(text: str, catalog: Catalog, inputs: InputImages) -> tuple[dict[str, Any], list[str]]:
    """As `read_settings`, for a pasted `parameters` text. Never raises."""
    found = metadata.parse_texts({metadata.PARAMETERS: text}, "the text")
    if not found["settings"]:
        return {}, ["The text holds no settings that can be read."]
    return _for_form(found, catalog, inputs)


def _for_form(
    found: Mapping[str, Any], catalog: Catalog, inputs: InputImages
) -> tuple[dict[str, Any], list[str]]:
    said = _understand(
        found,
        *(catalog.checkpoints(), catalog.loras(), catalog.upscalers(), catalog.detectors(), catalog.vaes()),
    )
    fields, notes = said["fields"], said["problems"]
    if not fields:
        return {}, notes
    prompts = [text for key, text in fields.items() if key.endswith("prompt") or key == "prompt_2"]
    notes += infotext_embeddings.notes(said["embeddings"], prompts, catalog.embeddings())
    if "embeddings" in fields:
        notes += infotext_embeddings.new_names(fields["embeddings"], prompts, catalog.embeddings())
        fields["embeddings"] = infotext_embeddings.usable(fields["embeddings"], catalog.embeddings())
    if template := infotext_templates.note(found, getattr(catalog, "wildcard_folder", None)):
        notes.append(template)
    if found["request"] is None:
        notes += _not_taken_over(found)
    notes += infotext_styles.recall(found, fields, catalog.styles)
    for key, what in (("image", "input picture"), ("mask", "mask")):
        if fields.get(key):
            try:
                inputs.path(fields[key])
            except NotFoundError:
                for each in {key, "mask", "outpaint"}:
                    fields.pop(each, None)
                notes.append(f"The picture's {what} is no longer there; choose it again.")
    return {**RESET_VALUES, **fields}, notes


def _not_taken_over(found: Mapping[str, Any]) -> list[str]:
    """Notes about settings of another tool that have no counterpart here."""
    notes = []
    fields, settings = found["fields"], found["settings"]
    shown = [
        f"{name.removesuffix('-1')} {values.shown(fields[name], 40)}"
        for name in fields
        if name.casefold() not in IGNORED_INFOTEXT_KEYS and not name.endswith("-2") and name not in REDRAWN
    ]
    if infotext_redraw.read(fields):
        notes.append(
            "It was redrawn in tiles; Upscale with detail offers the tile size and strength for a copy of it."
        )
    if shown:
        notes.append(f"Not taken over, since there is nothing like it here: {values.listed(shown)}.")
    if settings.get("strength"):
        notes.append("It was made from another picture, which it does not carry; choose that one again.")
    return notes


def understand(
    path: Path,
    checkpoints: Mapping[str, str | None] | None = None,
    loras: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """What the picture says, as fields of `GenerationRequest`.

    `checkpoints` and `loras` are what is installed: names and, where known, hashes (AutoV2; AutoV3 of LoRAs).
    Given these, a model is found as `models.catalog.lookup` finds it, and what is not there is left out.
    Answers `fields` (each one valid by itself, or a text that is too long), `problems` (a sentence for
    everything that was left out or replaced), `tool` and `raw` (the text as it is, to show where nothing
    could be read). Raises `StorageError` where the file is no readable picture.
    """
    return _understand(metadata.read(path), _models(checkpoints), _models(loras))


def tiling_of(path: Path) -> str:
    """Over which borders a picture says that it is seamless, as the setting `tiling`. Raises as
    `understand`."""
    found = metadata.read(path)
    request, upscaled = found["request"], found["upscaled"]
    if upscaled:
        kept = upscaled.get("redraw") or upscaled.get("facts")
        tiling = str(kept.get("tiling")) if isinstance(kept, dict) else ""
        return tiling if tiling in get_args(Tiling) else "none"
    if request and "tiling" in without_effect(request):
        return "none"
    return str(_understand(found, None, None)["fields"].get("tiling", "none"))


@dataclass(frozen=True)
class _Named:
    name: str
    hash: str | None


def _models(hashes: Mapping[str, str | None] | None) -> list[_Named] | None:
    return None if hashes is None else [_Named(name, hash) for name, hash in hashes.items()]


def _understand(
    found: Mapping[str, Any],
    checkpoints: Sequence[Model] | None,
    loras: Sequence[Model] | None,
    upscalers: Sequence[Upscaler] | None = None,
    detectors: Sequence[Named] | None = None,
    vaes: Sequence[Model] | None = None,
) -> dict[str, Any]:
    problems = [*found["problems"], *found["notes"]]
    wanted = dict(found["settings"])
    if not wanted and not found["notes"]:
        problems.append("The picture says nothing about how it was made.")
    if found["request"] is None:
        if wanted.get("seed", 0) < 0:
            del wanted["seed"]
            problems.append("It says that the seed was a random one, not which; the seed of the form stays.")
        infotext_templates.escape(wanted)
        _translate_sampler(wanted, problems)
        _translate_sampler(wanted, problems, "hires_")
        for name, setting in SETTINGS.items():
            if name in wanted and setting.infotext and setting.infotext.offset:
                # Below it is what SDXL takes anyway: A1111's CLIP skip 1 and 2.
                wanted[name] = max(wanted[name] - setting.infotext.offset, 0)
    facts = (found["webbduck"] or {}).get("facts") or {}
    model_hash = wanted.pop("model_hash", None) or facts.get("model_hash")
    vae_hash = wanted.pop("vae_hash", None) or facts.get("vae_hash")
    lora_hashes = wanted.pop("lora_hashes", None) or facts.get("lora_hashes") or {}
    embedding_hashes = wanted.pop("embedding_hashes", None) or facts.get("embedding_hashes") or {}
    paths = wanted.pop("paths", {})
    for key in ("base_model", "second_pass_model", "hires_model"):
        if checkpoints is None:
            continue
        if key == "base_model" and model_hash and not wanted.get(key):
            wanted[key] = f"{BY_HASH}{model_hash}"  # as written by early versions of A1111
        if wanted.get(key):
            wanted[key] = _with_folder(str(wanted[key]), paths, checkpoints)
            _find_model(key, wanted, model_hash if key == "base_model" else None, checkpoints, problems)
    if upscalers is not None:
        _find_upscaler(wanted, upscalers, problems)
    if vaes is not None and wanted.get("vae"):
        _find_model("vae", wanted, vae_hash, vaes, problems)
    if loras is not None:
        _find_loras(wanted, lora_hashes, paths, loras, problems)
    if detectors is not None:
        _find_detectors(wanted, detectors, problems)
    return {
        "tool": found["tool"],
        "fields": _valid(wanted, problems),
        "problems": problems,
        "embeddings": embedding_hashes,
        "raw": found["parameters"] or "\n".join(found["texts"].values()),
    }


def _translate_sampler(wanted: dict[str, Any], problems: list[str], of: str = "") -> None:
    """Replace the tool's sampler and schedule by our name, or leave both out. `of`: "hires_" for those of the
    hires pass, which has the first pass's where it names none."""
    given, schedule = wanted.pop(f"{of}sampler", None), wanted.pop(f"{of}schedule", None)
    if of and (given or schedule):
        given, schedule = given or wanted.get("sampler"), schedule or wanted.get("schedule")
    if not isinstance(given, str):
        return
    schedule = str(schedule) if schedule else None
    found = find_sampler(given, schedule)
    if found:
        wanted[f"{of}sampler"], wanted[f"{of}schedule"] = found
        if schedule == "beta":  # ComfyUI's spelling; A1111 writes "Beta"
            problems.append(
                "ComfyUI's schedule beta is spread over the timesteps, Beta here over the noise levels as in "
                "A1111; the picture can differ."
            )
    else:
        both = f"{given} with the schedule {schedule.replace('_', ' ')}" if schedule else given
        problems.append(f"There is no sampler {both} here; the chosen one stays.")


def _find_model(
    key: str,
    wanted: dict[str, Any],
    model_hash: str | None,
    installed: Sequence[Model],
    problems: list[str],
) -> None:
    name = wanted[key]
    found = _installed(
        str(name), SETTINGS[key].label_in_sentence, model_hash, installed, problems, "; the chosen one stays"
    )
    if found is None:
        del wanted[key]
    else:
        wanted[key] = found


def _find_upscaler(wanted: dict[str, Any], installed: Sequence[Upscaler], problems: list[str]) -> None:
    name = wanted.get("hires_upscaler")
    if name not in (None, LANCZOS, *LATENT_UPSCALERS, *(each.name for each in installed)):
        del wanted["hires_upscaler"]
        problems.append(f"The upscaler {name} is not installed; the chosen one stays.")


def _find_loras(
    wanted: dict[str, Any],
    hashes: Mapping[str, str],
    paths: Mapping[str, str],
    installed: Sequence[Model],
    problems: list[str],
) -> None:
    kept = []
    for lora in wanted.get("loras") or ():
        name = str(lora["name"])
        asked = _with_folder(name, paths, installed)
        found = _installed(asked, "LoRA", hashes.get(name), installed, problems, " and was left out")
        if found is not None:
            kept.append({**lora, "name": found})
    if "loras" in wanted:
        wanted["loras"] = kept


def _find_detectors(wanted: dict[str, Any], installed: Sequence[Named], problems: list[str]) -> None:
    kept = []
    for each in wanted.get("details") or ():
        found = _installed(
            str(each.get("detector")), "detector", None, installed, problems, "; its detail pass was left out"
        )
        if found is not None:
            kept.append({**each, "detector": found})
    if "details" in wanted:
        wanted["details"] = kept


def _with_folder(name: str, paths: Mapping[str, str], installed: Sequence[Model]) -> str:
    """The name with its recorded folder, if a model here has such a path or the name alone is ambiguous."""
    path = paths.get(name)
    if path is None:
        return name
    return path if find(path, installed).by == "name" or find(name, installed).several else name


def _installed(
    name: str, what: str, hash: str | None, installed: Sequence[Named], problems: list[str], otherwise: str
) -> str | None:
    """The name of the installed model (`models.catalog.lookup`), with a sentence in `problems` if it is not
    just another spelling; None, with a sentence, if it is not installed."""
    found = find(name, installed, hash)
    if found.model is None:
        several = " or ".join(sorted(model.name for model in found.several)[:8])
        problems.append(
            f"The {what} {name} may be {several} here{otherwise}."
            if several
            else f"The {what} {name} is not installed{otherwise}."
        )
        return None
    ours = found.model.name
    if found.by == "hash" and not name.startswith(BY_HASH):
        problems.append(f"The {what} {name} is called {ours} here (it is the same file).")
    elif found.by == "alias":
        problems.append(f"The {what} {name} is called {ours} here (its file gives it both names).")
    elif found.by == "folder":
        problems.append(f"The {what} {name} lies in another folder here: {ours}.")
    if found.another:
        problems.append(f"The {what} {ours} is another file here than the picture's (its hash differs).")
    return ours


def _valid(wanted: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The fields that the request takes, and texts that are too long for it; the others are named."""
    fields: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in GenerationRequest.model_fields or value is None:
            continue
        if key == "loras":
            fields[key] = _valid_loras(value, problems)
            continue
        if key == "details":
            fields[key] = infotext_details.valid(value, problems)
            continue
        if isinstance(value, str) and SETTINGS[key].control == "text" and len(value) > MAX_PROMPT:
            fields[key] = value  # kept to be shortened; Generate refuses it
            continue
        # Validated one by one, so that an invalid field does not affect the others, but for those that need
        # others.
        more = {other: wanted[other] for other in NEEDED.get(key, ()) if other in wanted}
        try:
            request = GenerationRequest.validated(**{"base_model": "any", **more, key: value})
        except RequestError as error:
            problems.append(f"The picture's {SETTINGS[key].label_in_sentence} was left out: {error}")
        else:
            fields[key] = request.model_dump(mode="json")[key]
    if not fields.get("image"):
        for key in ("mask", "outpaint"):
            fields.pop(key, None)
    return fields


def _valid_loras(loras: object, problems: list[str]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for lora in loras if isinstance(loras, (list, tuple)) else ():
        asked = {key: value for key, value in dict(lora).items() if value is not None}
        try:
            use = LoraSelection.validated(**asked).model_dump(mode="json")
        except RequestError as error:
            problems.append(f"The LoRA {asked.get('name')} was left out: {error}")
            continue
        if use["name"] in (other["name"] for other in kept):
            problems.append(f"The LoRA {use['name']} is listed twice; its first weight was taken.")
        else:
            kept.append(use)
    return kept
