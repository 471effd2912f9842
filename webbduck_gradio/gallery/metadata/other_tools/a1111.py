"""AUTOMATIC1111's text, also as written by Forge, SD.Next, Fooocus and others.

Denoising strength: A1111 counts the steps that it leaves in a way of its own, which the request can name
(`strength_steps`). `Hires steps` are steps that are drawn.

Noise: without `RNG` it is the graphics card's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .. import infotext, infotext_details, infotext_embeddings, infotext_models, infotext_passes
from . import older_timelines, soft_inpainting, values
from .values import ForeignSettings

_HASH = re.compile(r" ?([^,:]{1,255}): ([0-9a-fA-F]{8,64})(?=,|$)")
_OF_A1111 = re.compile(r"v?1\.\d|f[012]\.|neo|v?2\.0\.\d")
"""Versions of A1111 and of Forge, which name no program beside the number."""
_WEIGHT = re.compile(r" ?([^,:]{1,255}): (-?[\d.]{1,12})(?=,|$)")


def read(text: str) -> ForeignSettings:
    """The settings of a `parameters` text; empty if there are none."""
    if len(text) > infotext.MAX_TEXT:
        return ForeignSettings(
            notes=(f"The text inside has {len(text):,} characters, too many to be read as settings.",)
        )
    parsed = infotext.parse(text)
    fields = {key.casefold(): value for key, value in parsed.fields.items()}
    if not fields:
        return ForeignSettings()
    version, app = fields.get("version", ""), fields.get("app", "")
    tool = "webbduck" if version.startswith("WebbDuck") else "fooocus" if "Fooocus" in version else "a1111"
    tool = "sdnext" if app.casefold().startswith("sd.next") else tool
    prompt, loras, notes = values.lora_tags(parsed.prompt, values.whole(fields.get("steps")) or 0)
    negative, unused, more = values.lora_tags(parsed.negative_prompt)
    notes += [*more, *older_timelines.note(fields, prompt, negative)]
    if unused:
        names = values.listed(lora["name"] for lora in unused)
        notes.append(f"The negative prompt names LoRAs, which is not possible here; left out: {names}.")
    known_names = {lora["name"] for lora in loras}
    weights = _WEIGHT.findall(fields.get("lora weights", ""))  # Fooocus
    loras += [{"name": name, "weight": weight} for name, weight in weights if name not in known_names]
    known_names |= {name for name, _ in weights}
    hashes = _hashes(fields)
    _note_missing_loras(fields, hashes, known_names, notes)
    single = infotext.single_fields(fields)
    settings = {
        **single,
        **_noise(fields, notes),
        "eta": fields.get(infotext.eta_key(fields.get("sampler", "")).casefold()),
        "strength_steps": _strength_steps(tool, fields, single),
        "seed_resize_width": fields.get("seed resize from-1"),
        "seed_resize_height": fields.get("seed resize from-2"),
        "prompt": prompt,
        "negative_prompt": negative,
        "schedule": fields.get("schedule type", fields.get("scheduler")),
        "width": fields.get("size-1"),
        "height": fields.get("size-2"),
        "model_hash": fields.get("model hash"),
        "second_pass_mode": "refiner" if "refiner switch at" in fields else None,
        **infotext.inpainting(fields),
        **soft_inpainting.read(fields, notes),
        **infotext_models.fields(fields),
        "loras": loras,
        "lora_hashes": hashes or None,
        "embedding_hashes": infotext_embeddings.read(
            fields, values.table(values.json_value(fields.get("hashes")))
        ),
        **infotext_passes.hires(fields, single),
        "details": infotext_details.read(fields, notes),
    }
    return ForeignSettings(tool, values.known(settings, notes), tuple(notes))


def _noise(fields: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Where the noise comes from; {} if the program is unknown and says nothing."""
    source = fields.get("rng", "GPU" if _OF_A1111.match(fields.get("version", "")) else "").casefold()
    if source in ("cpu", "nv"):
        return {"noise_source": source}
    if source in ("gpu", "cuda"):
        notes.append(
            "Its noise came from a graphics card; that of an NVIDIA card is taken. From another maker's card "
            "it was different."
        )
        return {"noise_source": "nv"}
    return {}


def _strength_steps(tool: str, fields: Mapping[str, str], single: Mapping[str, str]) -> str | None:
    """How a strength leaves steps: as A1111 counts them, unless it is a text of our own."""
    if tool == "webbduck" or "denoising strength" not in fields:
        return single.get("strength_steps")
    return "a1111"


def _note_missing_loras(
    fields: Mapping[str, str], hashes: Mapping[str, str], taken: set[str], notes: list[str]
) -> None:
    """Notes about LoRAs recorded without weights, or only by their names on Civitai."""
    plain = {re.sub("[,:]", "", name) for name in taken}
    unweighted = [name for name in hashes if re.sub("[,:]", "", name) not in plain]
    if unweighted:
        notes.append(
            f"Left out, since their weights are not recorded: the LoRAs {values.listed(unweighted)}."
        )
    on_civitai = [
        f"{values.shown(each.get('modelName'))} {values.shown(each.get('weight', ''))}".strip()
        for each in map(values.table, values.rows(values.json_value(fields.get("civitai resources"))))
        if "lora" in values.text(each.get("type")).casefold() or each.get("type") in ("lycoris", "dora")
    ]
    if on_civitai and not taken:
        notes.append(
            "Left out, since only their names on Civitai are recorded: the LoRAs "
            f"{values.listed(on_civitai)}."
        )


def _hashes(fields: Mapping[str, str]) -> dict[str, str]:
    """LoRA hashes by name, from both fields that A1111 writes."""
    found = {
        str(key).removeprefix("lora:"): value
        for key, value in values.table(values.json_value(fields.get("hashes"))).items()
        if str(key).startswith("lora:")
    }
    return found | dict(_HASH.findall(fields.get("lora hashes", "")))
