"""Descriptions of the endpoints' parameters, for the page "Use via API" and docs/api.md."""

from __future__ import annotations

import inspect
import json

import gradio as gr
from pydantic.fields import FieldInfo

from ..request import (
    AN_IMAGE,
    MAX_PROMPT,
    SETTINGS,
    CaptionRequest,
    DetectRequest,
    GenerationRequest,
    bounds_in_words,
)
from ..settings import HOME
from ..storage.atomic import write_atomically
from .gradio_internals import describe_parameter

JOB = "The id that /generate, /test, /upscale, /caption or /detect returned, or that /queue lists."

PARAMETERS: dict[str, str] = {
    "base_model": "Name of a checkpoint, see /models; None = the default one.",
    "scheduler": "Sampler and schedule in one name of /schedulers, for older clients; give either this or "
    "the two parameters.",
    "image": AN_IMAGE,
    "images": "Files, or ids of gallery pictures; 1 to 500.",
    "settings": "Parameters of /generate, without image and mask.",
    "skip_existing": "Whether pictures are left out whose result with these settings is there already.",
    "wait_for_result": "False: return immediately with the job's id, without files.",
    "job_id": JOB,
    "after_image": "True: the running job first finishes its current image.",
    "position": '1 = next, or "up", "down", "top", "bottom".',
    "scale": "2 or 4.",
    "upscaler": "A name of /upscalers; None = the first model, else Lanczos.",
    "tile_size": "Side of the tiles that an upscaling model works on, in pixels of the picture, 64 to 2048; "
    "None = 256. Smaller ones take less memory.",
    "overlap": "How far tiles overlap, in pixels of the result: a multiple of 8, at most half of tile_size; "
    "None = an eighth of it.",
    "style": "One of /caption_styles.",
    "captioner": "A name of /captioners; None = the first usable one.",
    "detector": "A name of /detectors; None = the first usable one.",
    "confidence": "How sure the detector has to be.",
    "max_tokens": "Maximum length of the caption.",
    "n": "Number of texts, 1 to 100.",
    "text": f"The prompt; at most {MAX_PROMPT:,} characters.",
    "which": "Which prompt it is.",
    "styles": "Names of /styles that are put around it.",
    "start": "Number of runs to skip.",
    "limit": "Maximum number of runs, 1 to 200.",
    "after": "Only runs created after this time, in seconds since 1970.",
    "query": 'Words of the prompt, or filters as "model:NAME seed:7 is:favourite"; at most 400 characters.',
    "order": "newest, oldest, picture_size or file_size (largest first), prompt or checkpoint "
    "(alphabetical). A run is sorted by its first picture in that order.",
    "image_id": 'For example "2026-05-01_12-30-00/0.png", as /generate and /gallery return it.',
    "run": 'For example "2026-05-01_12-30-00".',
    "memory": 'A memory policy, see `policies` in the answer; "automatic" = chosen by free memory and size, '
    '"" = unchanged.',
    "compile": "Whether the UNet is compiled, which draws faster after a slow first picture; "
    "None = unchanged.",
    "path": "Of a folder on the studio's computer, from / or the drive on.",
    "label": 'The first part of the names of a folder\'s models, as /model_folders returns it; "" = made of '
    "the program's name. One that is taken is refused.",
    "kind": 'Kind of model: "checkpoint", "lora", "vae", "embedding" or "upscale".',
    "name": "Name of a pickle, as the list of its kind has it.",
    "conversion_id": "The `id` that /convert returned.",
    "entry_id": "The id that /delete_image or /delete_run returned.",
}
"""Parameters other than generation settings, by name; each means the same in every endpoint. The settings of
/generate and /test are described by their declarations in `request`."""
OF_REDRAW: dict[str, str] = {
    "settings": "What a redrawn picture records (`redraw` in the `upscaled` of /image), to make it "
    "again; what is given beside it replaces it.",
    "scale": "1 to 8; the result has at most 8192 pixels on the longer side. None = as the checkpoint "
    "recommends.",
    "tile_size": "Side of the tiles, in pixels of the result: a multiple of 8 from 64 to 2048; None = the "
    "checkpoint's native size.",
    "strength": "How much is drawn anew, above 0 up to 1. None = as the checkpoint recommends.",
    "captioner": "A name of /captioners, which describes the picture if it records no prompt and none is "
    "given.",
}
"""Those of /redraw that mean something else there."""
AS_RECORDED = " None = as the picture records it, else the checkpoint's default."
API_PAGE = HOME / "docs" / "api.md"
TABLE_STARTS, TABLE_ENDS = "<!-- settings -->", "<!-- end of settings -->"
GENERATION_ENDPOINTS = ("generate", "test", "resolve")


def describe(page: gr.Blocks) -> None:
    """Add the descriptions to the endpoints of the Blocks being built."""
    for fn in page.fns.values():
        if fn.api_visibility != "public" or fn.fn is None:
            continue
        names = [name for name in inspect.signature(fn.fn).parameters if name != "request"]
        for name, component in zip(names, fn.inputs, strict=True):
            is_own = fn.api_name in GENERATION_ENDPOINTS or name.startswith("hires_")
            is_setting = is_own and name in SETTINGS
            text = setting_text(name) if is_setting else parameter_text(name)
            if fn.api_name == "redraw":
                text = redraw_text(name)
            describe_parameter(component, name, text)


def setting_text(name: str) -> str:
    """Description of a generation setting, with its range."""
    setting = SETTINGS[name]
    text = setting.api_text
    if setting.control == "text":
        text += f" At most {MAX_PROMPT:,} characters."
    return (
        _with_bounds(GenerationRequest.model_fields[name], text, setting.unit) if setting.is_number else text
    )


def parameter_text(name: str) -> str:
    """Description of a parameter, with its range if it is a numeric field of a request."""
    text = PARAMETERS.get(name, "")
    field = CaptionRequest.model_fields.get(name) or DetectRequest.model_fields.get(name)
    return text if field is None or field.annotation not in (int, float) else _with_bounds(field, text)


def redraw_text(name: str) -> str:
    """Description of a parameter of /redraw."""
    if name in OF_REDRAW:
        return OF_REDRAW[name]
    if name in SETTINGS and name != "image":
        return f"{SETTINGS[name].help}{AS_RECORDED}{' -1 = random.' if name == 'seed' else ''}"
    return parameter_text(name)


def _with_bounds(field: FieldInfo, text: str, unit: str = "") -> str:
    bounds = bounds_in_words(field) + (unit and f", in {unit}")
    return f"{bounds[0].upper()}{bounds[1:]}. {text}"


def settings_table() -> str:
    """The settings of /generate as a Markdown table."""
    lines = ["| setting | default | |", "|---|---|---|"]
    for name, setting in SETTINGS.items():
        default = None if setting.reset == "checkpoint" or setting.default == () else setting.default
        shown = "None" if default is None else json.dumps(default)
        if name == "prompt":  # the only parameter without a default
            shown = "required"
        lines.append(f"| `{name}` | {shown} | {setting_text(name).replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def with_settings_table(page: str) -> str:
    """docs/api.md with the current table of settings between its markers."""
    before, _, rest = page.partition(TABLE_STARTS)
    _, _, after = rest.partition(TABLE_ENDS)
    return f"{before}{TABLE_STARTS}\n\n{settings_table()}\n\n{TABLE_ENDS}{after}"


if __name__ == "__main__":  # after a declaration changed: python -m webbduck_gradio.api.parameter_docs
    page = with_settings_table(API_PAGE.read_text(encoding="utf-8"))
    write_atomically(API_PAGE, lambda file: file.write(page.encode()), API_PAGE.parent)
