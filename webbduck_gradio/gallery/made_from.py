"""Which pictures were made from an input image with the same request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..request import GenerationRequest
from .run_layout import META, image_id, is_run_name, read_meta


def results(root: Path, requests: Iterable[GenerationRequest]) -> dict[GenerationRequest, str]:
    """Requests whose pictures are all there already, with the id of the first one. `root`: the output folder.

    What decides is the request with its seed, and with the content of its input image, by which that has its
    id. The newest run counts. Runs are read once for all requests; one that cannot be read has no results.
    """
    wanted = {_key(each): each for each in requests}
    images = {each.image.encode() for each in wanted.values() if each.image}
    found: dict[GenerationRequest, str] = {}
    for name in sorted(filter(is_run_name, os.listdir(root)), reverse=True):
        if len(found) == len(wanted):
            break
        try:
            text = (root / name / META).read_bytes()
        except OSError:
            continue
        if not any(each in text for each in images):
            continue
        meta, _ = read_meta(root / name)
        request = wanted.get(_key(meta.get("request")))
        if request is None or request in found:
            continue
        names = [f"{index}.{request.output_format}" for index in range(request.num_images)]
        if all((root / name / each).is_file() for each in names):
            found[request] = image_id(name, names[0])
    return found


def _key(request: Any) -> str:
    """Equal for requests that make the same pictures; "" for what is none."""
    if isinstance(request, dict):
        try:
            request = GenerationRequest.validated(**request)
        except Exception:  # written by another version
            return ""
    return request.model_dump_json() if isinstance(request, GenerationRequest) else ""
