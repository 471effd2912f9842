"""A picture of the gallery in the form in which the viewer shows one."""

from __future__ import annotations

from typing import Any

from ...api.serializers import effective_settings_of_picture
from ...gallery import metadata
from ...services import Services


def recorded_picture(services: Services, image_id: str) -> dict[str, Any]:
    """{image, job} for the viewer, which knows only recent jobs: what the picture records, in the form of a
    job of `api.serializers.job_view` without an id. Raises `NotFoundError`, `StorageError`."""
    found = metadata.read(services.outputs.resolve(image_id))
    settings = effective_settings_of_picture(services, found) or found["settings"]
    request = {"num_images": 1, "seed": settings.get("seed"), "prompt": found["prompt"]}
    return {
        "image": image_id,
        "job": {
            "job_id": None,
            "kind": "generate",
            "status": "completed",
            "headline": "From the Gallery",
            "images": [image_id],
            "seeds": [],
            "warnings": [],
            "progress": 1,
            "request": request | {"width": found["width"], "height": found["height"]},
            "told": {"prompt": found["prompt"], "negative_prompt": found["negative_prompt"], **settings},
        },
    }
