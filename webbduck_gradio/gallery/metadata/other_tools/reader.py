"""Maps metadata of other programs to our request fields.

Detects which program wrote the text chunks and calls its reader. Results have the right types but are not
validated: checkpoint names without folder and extension, samplers by the program's own names. Settings that
are left out are named in a note.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import a1111, apps, comfyui, fooocus, invokeai, novelai, swarmui, values
from .values import ForeignSettings

__all__ = ["ForeignSettings", "is_known", "read"]

log = logging.getLogger(__name__)

KNOWN = ("parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Dream", "Comment",
         "negative_prompt", "Negative Prompt")  # fmt: skip
"""Names of chunks used by any reader."""


def is_known(texts: Mapping[str, str]) -> bool:
    """Whether there is a chunk that some reader uses."""
    return any(key in texts for key in KNOWN)


def read(texts: Mapping[str, str], size: tuple[int, int] | None = None) -> ForeignSettings:
    """Settings from an image's text chunks; empty if nothing is recognised.

    `size`: the image's size in pixels. Never raises.
    """
    notes: tuple[str, ...] = ()
    for reader in (_parameters, _graph, _invokeai, _novelai, _easy_diffusion):
        try:
            found = reader(texts, size)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            # Unexpected data of other programs must not hide the image.
            log.warning("metadata of another program could not be read", exc_info=error)
            notes += ("Another program's settings are inside, but in a form that cannot be read.",)
            continue
        if found.settings:
            return replace(found, notes=(*found.notes, *_postprocessing(texts)))
        notes += found.notes
    return ForeignSettings(notes=notes)


def _postprocessing(texts: Mapping[str, str]) -> tuple[str, ...]:
    """A note if the image was processed with A1111's "Extras"."""
    done = next((texts[key] for key in ("postprocessing", "extras") if texts.get(key)), None)
    return (f"It was postprocessed, which is not repeated: {values.shown(done, 200)}.",) if done else ()


def _parameters(texts: Mapping[str, str], size: tuple[int, int] | None) -> ForeignSettings:
    text = texts.get("parameters")
    if text is None:
        return ForeignSettings()
    data = table(text)
    return a1111.read(text) if data is None else _from_json(data, size)


def table(text: str) -> dict[str, Any] | None:
    """Parse a JSON object; None for other text, including prompts like "{a|b} duck"."""
    text = text.strip("\ufeff\0 \t\r\n")
    data = values.json_value(text) if text.startswith("{") else None
    return data if isinstance(data, dict) else None


def _from_json(data: dict[str, Any], size: tuple[int, int] | None) -> ForeignSettings:
    """Settings from one JSON object; the program is recognised by its keys."""
    if "sui_image_params" in data:
        return swarmui.read(data)
    if "positive_prompt" in data or "invokeai_metadata" in data:
        return invokeai.read({"invokeai_metadata": data.get("invokeai_metadata", data)})
    if "c" in data and ("uc" in data or "sampler" in data):
        return apps.draw_things(data)
    if "num_inference_steps" in data:
        return apps.easy_diffusion(data)
    if "uc" in data or "v4_prompt" in data:
        return novelai.read({"Comment": data})
    if (
        "base_model" in data
        or "base_model_name" in data
        or "guidance_scale" in data
        or "metadata_scheme" in data
    ):
        return fooocus.read(data)
    graph = data.get("prompt", data)
    if isinstance(graph, (dict, str)) or "workflow" in data:
        return comfyui.read(graph, data.get("workflow", data if "nodes" in data else None), size)
    return ForeignSettings()


def _graph(texts: Mapping[str, str], size: tuple[int, int] | None) -> ForeignSettings:
    if "prompt" not in texts and "workflow" not in texts:
        return ForeignSettings()
    return comfyui.read(texts.get("prompt"), texts.get("workflow"), size)


def _invokeai(texts: Mapping[str, str], size: tuple[int, int] | None) -> ForeignSettings:
    return invokeai.read(texts)


def _novelai(texts: Mapping[str, str], size: tuple[int, int] | None) -> ForeignSettings:
    return novelai.read(texts) if "Comment" in texts else ForeignSettings()


def _easy_diffusion(texts: Mapping[str, str], size: tuple[int, int] | None) -> ForeignSettings:
    return apps.easy_diffusion(texts)
