"""The endpoints about finished images. They return immediately."""

from __future__ import annotations

from typing import Literal

import gradio as gr

from ..services import Services
from . import gallery_serializers, serializers
from .answers import DeletionAnswer, ImageAnswer, RestoredAnswer, RunAnswer
from .endpoints import endpoint
from .gradio_helpers import file_data


@endpoint()
def gallery(
    services: Services,
    start: int = 0,
    limit: int = 50,
    after: float = 0.0,
    query: str = "",
    order: Literal["newest", "oldest", "picture_size", "file_size", "prompt", "checkpoint"] = "newest",
) -> list[RunAnswer]:
    """Runs with their images and settings, sorted by `order`; only those created after the time `after`."""
    return serializers.gallery_view(services, start, limit, query, after, order)


@endpoint()
def image(services: Services, image_id: str) -> tuple[gr.FileData, ImageAnswer]:
    """A finished picture and its metadata."""
    return file_data(services.outputs.resolve(image_id)), serializers.image_view(services, image_id)


@endpoint()
def delete_image(services: Services, image_id: str) -> DeletionAnswer:
    """Move a picture to the trash; /restore with the returned `id` restores it."""
    services.outputs.resolve(image_id)  # validates the id, which may be of any type
    gallery_serializers.refuse_needed(services, [image_id])
    return serializers.trash_view(services.trash.delete_image(image_id))


@endpoint()
def delete_run(services: Services, run: str) -> DeletionAnswer:
    """Move all pictures of a run to the trash."""
    gallery_serializers.refuse_needed(services, services.outputs.images_of(run))
    return serializers.trash_view(services.trash.delete_run(run))


@endpoint()
def restore(services: Services, entry_id: str) -> RestoredAnswer:
    """Restore what a deletion moved to the trash."""
    return {"id": entry_id, "images": list(services.trash.restore(entry_id))}
