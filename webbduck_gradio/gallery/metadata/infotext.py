"""The `parameters` text introduced by AUTOMATIC1111, which all other programs read.

    {prompt}
    Negative prompt: {negative}
    Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 1024x1024, ...

Limits of the format, and what its readers see instead (our own chunk is lossless):

- "Negative prompt:" inside a prompt would end the prompt for some readers and crash sd-parsers. It is
  written "Negative prompt :", which CLIP's tokenizer turns into the same tokens.
- With an empty prompt the text begins with a newline, without which stable-diffusion-prompt-reader finds no
  settings. The others strip it.
- Readers strip white space around the prompt; A1111 around each line, too.
- A prompt line that starts with "Steps:" is not changed. A1111 and sd-parsers read it correctly,
  stable-diffusion-prompt-reader mistakes it for the settings.
- `prompt_2`, the ids of input images, `resize_mode` and the batch size cannot be expressed.
- LoRAs are appended to the prompt as A1111 and its extension LoRA Block Weight read them (`lora_tags`).

Sources: A1111 modules/infotext_utils.py and processing.py, sd-parsers 0.6, stable-diffusion-prompt-reader.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...models import lora_tags
from ...request import SETTINGS, GenerationRequest
from ...request.applicability import without_effect
from ...request.samplers import resolved_schedule, sampler_named
from . import infotext_details, infotext_models, infotext_passes
from .infotext_passes import number

NEGATIVE = "Negative prompt:"
SETTINGS_KEYS = frozenset(
    ("steps", "sampler", "schedule type", "cfg scale", "seed", "size", "model", "model hash")
)
"""Keys (lower case) that distinguish a line of settings from a prompt with colons."""
PROMPTS = frozenset(("prompt", "negative prompt"))
MAX_TEXT = 2**17
"""Maximum length of a text to be parsed, in characters."""
MAX_TABLES = 20
"""Limit on attempts to parse a value as JSON; each may scan the rest of the line."""
_KEY = re.compile(r"[\w \-/]+")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])+"')
_ONE_LINE = re.compile(r"(?:^|[\s,.;])(?=Steps: ?\d{1,4},)")
_TRAILING_KEY = re.compile(r"([A-Z][\w \-/]{1,40}): ?")
INPAINTING = {
    name: setting.infotext
    for name, setting in SETTINGS.items()
    if setting.infotext and not {"mask", "soft_border"}.isdisjoint(setting.applies)
}
"""Field -> key of pairs that only inpainted images have."""
ORDER = (
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model",
    "Denoising strength", "Clip skip", "RNG", "Mask blur", "Inpaint area", "Masked area padding", "Mask mode",
    "Masked content", "Soft inpainting", *infotext_passes.ORDER, "Emphasis",
)  # fmt: skip
"""A1111's order of the pairs, which some readers rely on; other pairs come last."""
SIZE = re.compile(r"^(\d+)x(\d+)$")


@dataclass(frozen=True)
class Infotext:
    """A parsed `parameters` text. `fields` are the key-value pairs of its last line, all as text."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str] = field(default_factory=dict)


def parameters_text(
    request: GenerationRequest,
    seed: int,
    *,
    model_name: str | None = None,
    model_hash: str | None = None,
    version: str,
    second_pass: str | None = None,
    extras: Mapping[str, Any] | None = None,
) -> str:
    """The text for the picture that `request` made with `seed`.

    `model_name` defaults to the request's checkpoint; `model_hash` is its AutoV2 hash (10 hex digits).
    `second_pass` is what "auto" came to ("refiner", "img2img").
    `extras` are further pairs by A1111's names, written before `Version`; None values are left out.
    """
    lines = [_guard(_with_lora_tags(request))]
    if request.negative_prompt.strip():
        lines.append(f"{NEGATIVE} {_guard(request.negative_prompt)}")
    pairs = _pairs(request, seed, model_name or request.base_model, model_hash, second_pass)
    pairs |= dict(extras or {})
    hashes = pairs.pop("Hashes", None)
    shown = [f"{key}: {_quote(value)}" for key, value in pairs.items() if value is not None]
    if hashes:  # written raw, as flat JSON, because that is how its readers look for it
        shown.append(f"Hashes: {json.dumps(hashes)}")
    shown.append(f"Version: {_quote(version)}")
    lines.append(", ".join(shown))
    return "\n".join(lines)


def parse(text: str) -> Infotext:
    """Parse a `parameters` text by A1111's rules, in linear time. Never raises.

    More lenient than A1111 in three ways needed for other programs: the settings are the last line that
    begins with "Steps:", else the last with at least two of `SETTINGS_KEYS`; lines below ("Template: ...",
    written by extensions) become pairs, too; and everything may be in one line. Without settings, all is
    prompt.
    """
    text = text.strip("\ufeff\0 \t\r\n")
    lines = text.replace("\r\n", "\n").split("\n") if len(text) <= MAX_TEXT else []
    at = _settings_line(lines)
    if at is None:
        return _one_line(lines) or Infotext(*_prompts(lines if lines else [text]))
    fields = _fields(pairs(lines[at]))
    for key, value in _trailing_pairs(lines[at + 1 :]):
        fields.setdefault(key, value)
    return Infotext(*_prompts(lines[:at]), fields)


def pairs(line: str) -> list[tuple[str, str]]:
    """Key-value pairs of a line of settings, as A1111's regex finds them, quoted and JSON values intact."""
    found: list[tuple[str, str]] = []
    at = tables = 0
    while (colon := line.find(":", at)) >= 0:
        # Match the key before the colon backwards, so that each character is read once.
        before = _KEY.match(line[at:colon][::-1])
        key = before[0][::-1].lstrip(" -/") if before else ""
        if len(key) < 2:
            at = colon + 1
            continue
        start = colon + 1
        while start < len(line) and line[start].isspace():
            start += 1
        tables += line[start : start + 1] in ("{", "[")
        value, at = _value(line, start, may_be_json=tables <= MAX_TABLES)
        found.append((key, value))
    return found


def _value(line: str, start: int, may_be_json: bool) -> tuple[str, int]:
    """The value that begins at `start`, and the position after it."""
    if line[start : start + 1] == '"':
        quoted = _QUOTED.match(line, start)
        if quoted and line[quoted.end() : quoted.end() + 1] in ("", ","):
            return quoted[0], quoted.end() + 1
    if may_be_json and line[start : start + 1] in ("{", "["):
        try:
            end = json.JSONDecoder().raw_decode(line, start)[1]
        except (ValueError, RecursionError):
            pass
        else:
            if line[end : end + 1] in ("", ","):
                return line[start:end], end + 1
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return line[start:end], end + 1


def _settings_line(lines: Sequence[str]) -> int | None:
    others = []
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at].lstrip()
        if line.startswith("Steps:") and len(pairs(line)) >= 3:
            return at
        if "Steps:" in line or "Sampler:" in line:
            others.append(at)
    for at in others:
        keys = [key for key, _ in pairs(lines[at])]
        names = {key.casefold() for key in keys}
        # With text before the first pair, or a prompt as a key, everything is in one line.
        whole = len(keys) >= 3 and lines[at].lstrip().startswith(keys[0]) and not names & PROMPTS
        whole = whole and not keys[0].casefold().endswith((" prompt", " steps"))
        if whole and len(SETTINGS_KEYS & names) >= 2:
            return at
    return None


def _one_line(lines: Sequence[str]) -> Infotext | None:
    """Prompt, negative prompt and settings in one line, as copied from chat programs and web sites."""
    for at in range(len(lines) - 1, -1, -1):
        starts = [found.end() for found in _ONE_LINE.finditer(lines[at])]
        if not starts:
            continue
        fields = _fields(pairs(lines[at][starts[-1] :]))
        if len(SETTINGS_KEYS.intersection(key.removesuffix("-1").casefold() for key in fields)) < 3:
            return None
        words = "\n".join([*lines[:at], lines[at][: starts[-1]].rstrip(" ,;")])
        before, mark, after = words.partition(NEGATIVE)
        if mark and before and not before.endswith("\n"):
            before = before.rstrip().removesuffix(",")
        before = before.strip().removeprefix("Prompt:")
        return Infotext(before.strip(), after.strip(), {**fields, **dict(_trailing_pairs(lines[at + 1 :]))})
    return None


def _prompts(lines: Sequence[str]) -> tuple[str, str]:
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(NEGATIVE):
            target = negative
            line = line[len(NEGATIVE) :].strip()
        if target or line:  # A1111 drops empty lines before the first word
            target.append(line)
    return "\n".join(prompt), "\n".join(negative)


def _fields(found: Sequence[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, value in found:
        value = _unquote(value)
        size = SIZE.match(value)
        if size:
            fields[f"{key}-1"], fields[f"{key}-2"] = size.groups()
        else:
            fields[key] = value
    return fields


def _trailing_pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Lines below the settings, such as "Template: ..."; a line without a key continues the previous one."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        named = _TRAILING_KEY.match(line)
        if named:
            found.append((named[1], [line[named.end() :]]))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            found.append(("Below the settings", [line]))
    return [(key, "\n".join(parts).strip()) for key, parts in found]


def steps_for(drawn: int, strength: float) -> int:
    """The shortest schedule of which `strength` (above 0, up to 1) leaves `drawn` steps: int(n * strength).

    A1111's "Hires steps" and ComfyUI's "steps" with "denoise" are steps that are drawn; ours count the
    schedule, as diffusers does.
    """
    steps = math.ceil(drawn / strength)
    while int(steps * strength) < drawn:  # 10 * 0.3 may come out a little below 3
        steps += 1
    return steps


def _with_lora_tags(request: GenerationRequest) -> str:
    tags = [
        f"<lora:{_tag_name(lora.name)}{lora_tags.written(lora, request.steps)}>"
        for lora in request.loras
        if f"<lora:{_tag_name(lora.name)}:" not in request.prompt
    ]
    return " ".join([request.prompt, *tags]) if tags else request.prompt


def _pairs(
    request: GenerationRequest,
    seed: int,
    model: str,
    model_hash: str | None,
    second: str | None,
) -> dict[str, Any]:
    """The last line in A1111's order; None values are dropped later.

    Handled individually: pairs that combine several fields or need more than the request (sampler and
    schedule, size, model, the seed of this image, and the second pass, which depends on its mode).
    """
    pairs = {
        **_single_pairs(request),
        "Sampler": request.sampler,
        "Schedule type": resolved_schedule(sampler_named(request.sampler), request.schedule),
        "Seed": seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": model_hash,
        "Model": model,
        **_sampling_pairs(request),
        **infotext_passes.pairs(request, second or request.second_pass_mode),
        **infotext_details.pairs(request),
    }
    return dict(sorted(pairs.items(), key=lambda pair: ORDER.index(pair[0]) if pair[0] in ORDER else 99))


def _single_pairs(request: GenerationRequest) -> dict[str, Any]:
    """The pairs that hold one field each, of those that mean something in this request."""
    unused = without_effect(request.model_dump())
    found: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        pair, value = setting.infotext, getattr(request, name)
        if pair is None or not pair.is_written or name in unused or value is None:
            continue
        if pair.at_default or value != setting.default:
            text = pair.write(value)
            found[pair.key] = text if isinstance(text, str) else number(text)
    return found


def _sampling_pairs(request: GenerationRequest) -> dict[str, Any]:
    """Pairs of guidance, noise, samplers and models that need several fields, or that only Forge asks for."""
    unused = without_effect(request.model_dump())
    found: dict[str, Any] = infotext_models.pairs(request, unused)
    if request.eta is not None and "eta" not in unused:
        found[eta_key(request.sampler)] = number(request.eta)
    if request.seed_resize_width is not None:
        found["Seed resize from"] = f"{request.seed_resize_width}x{request.seed_resize_height}"
    if request.pag_scale:
        found["pag_enabled"] = True
    if request.mimic_cfg is not None and "mimic_cfg" not in unused:
        found["dynthres_enabled"] = True
    return found


def eta_key(sampler: str) -> str:
    """A1111 has two settings of that name."""
    return "Eta DDIM" if sampler.startswith("DDIM") else "Eta"


def single_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Fields of a request that one pair each tells, as text; `fields` by their names in small letters."""
    told = {
        name: setting.infotext.read(fields[setting.infotext.key.casefold()])
        for name, setting in SETTINGS.items()
        if setting.infotext and setting.infotext.key.casefold() in fields
    }
    return {name: value for name, value in told.items() if value is not None}


def inpainting(fields: Mapping[str, str]) -> dict[str, str]:
    """What is said about inpainting, as fields of a request; {} where the picture was not inpainted. `fields`
    by their names in small letters.

    A1111 leaves out what stands at its default. So did we, when "fill" was the one that went unnamed.
    """
    if not any(pair.key.casefold() in fields for pair in INPAINTING.values()):
        return {}
    ours = fields.get("version", "").startswith("WebbDuck")
    told = {name: value for name, value in single_fields(fields).items() if name in INPAINTING}
    defaults = {"inpainting_fill": "replace", "masked_content": "fill" if ours else "original"}
    return {**defaults, "inpaint_area": "whole", "soft_inpainting": "off", **told}


def hash_pairs(hashes: Mapping[str, str]) -> str | None:
    """`Lora hashes` and `TI hashes` in A1111's format: 'name: hash12, name2: hash12', names without ',' and
    ':'."""
    return ", ".join(f"{_tag_name(name)}: {value}" for name, value in hashes.items()) or None


def _tag_name(name: str) -> str:
    return re.sub(r"[,:<>\n]", "", name)


def _guard(text: str) -> str:
    return text.replace(NEGATIVE, "Negative prompt :")


def _quote(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def _unquote(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value.strip()
    try:
        return str(json.loads(value))
    except (ValueError, RecursionError):
        return value
