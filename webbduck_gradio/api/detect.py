"""/detect, which runs as a job like /generate, and the list of detectors."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import ImageDraw, ImageFont

from ..services import Services
from ..storage import images
from . import serializers
from .answers import DetectAnswer, DetectorAnswer
from .client_files import asked_picture
from .endpoints import endpoint
from .job_results import check_wait, owner_of, submit

PREVIEW_SIDE = 1024
"""Longest side of the preview, in pixels."""
COLOURS = ("#ff3b30", "#0a84ff", "#34c759", "#ff9f0a", "#bf5af2", "#64d2ff")
"""By class, in turn."""


@endpoint()
def detectors(services: Services) -> list[DetectorAnswer]:
    """The detectors, with what each finds (`classes`), whether it finds outlines (`masks`), and the reason if
    one cannot be used."""
    return detectors_view(services)


def detectors_view(services: Services) -> list[DetectorAnswer]:
    """All detectors, the bundled one last."""
    return [
        {
            "name": each.name,
            "origin": each.origin,
            "kind": each.kind,
            "classes": list(each.classes),
            "masks": each.finds_masks,
            "reason": each.unusable,
        }
        for each in services.registry.detectors()
    ]


@endpoint(waits=True)
async def detect(
    services: Services,
    image: gr.FileData | str,
    detector: str | None = None,
    confidence: float = 0.3,
    wait_for_result: bool = True,
    request: gr.Request | None = None,
) -> DetectAnswer:
    """Find regions of a picture, such as faces, as the details of /generate do.

    image: the id of a gallery picture, or a file. detector: a name of /detectors, None = the first usable
    one. confidence: 0.01 to 1. Returns {regions: [{class, confidence, box, mask}], detector, confidence,
    width, height, preview, job_id, status, headline, warnings}; a box is [left, top, right, bottom] in
    pixels, mask the id of a stored picture that /generate takes as mask (None from detectors of boxes),
    preview the picture with the boxes as a data: URL (JPEG). With wait_for_result=False immediately and
    without regions, which /job returns as `result` after the job has ended."""
    check_wait(wait_for_result)
    picture = await asyncio.to_thread(asked_picture, services, image)
    asked = {"image": picture, "detector": detector, "confidence": confidence}
    job = await submit(services, "detect", asked, owner_of(request), wait_for_result)
    view = serializers.job_view(services, job)
    result: dict[str, Any] = job.result or {}
    preview = None
    if result:
        path = services.worker.context.picture_path(picture)
        preview = await asyncio.to_thread(_preview, path, result["regions"])
    return {
        "regions": result.get("regions"),
        "detector": view["request"]["detector"],
        "confidence": view["request"]["confidence"],
        "width": result.get("width"),
        "height": result.get("height"),
        "preview": preview,
        "job_id": view["job_id"],
        "status": view["status"],
        "headline": view["headline"],
        "warnings": view["warnings"],
    }


def _preview(path: Path, regions: list[dict[str, Any]]) -> str:
    """The picture with its boxes, as a data: URL. Raises `StorageError`."""
    image = images.opaque(images.read(path, "The picture"))
    scale = min(1.0, PREVIEW_SIDE / max(image.size))
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(image)
    names = list(dict.fromkeys(region["class"] for region in regions))
    width = max(2, max(image.size) // 256)
    font = ImageFont.load_default(size=max(10, max(image.size) // 50))
    for region in regions:
        left, top, right, bottom = (side * scale for side in region["box"])
        colour = COLOURS[names.index(region["class"]) % len(COLOURS)]
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=width)
        pen.text(
            (left + width + 1, top + width),
            f"{region['class']} {region['confidence']:.0%}",
            fill="white",
            stroke_fill="black",
            stroke_width=1,
            font=font,
        )
    data = BytesIO()
    image.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")
