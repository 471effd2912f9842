"""Requests for work on an existing image: upscaling, captions and detection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import ImageId, JobRequest, Name, StrictFloat, StrictInt
from .tiles import Tiling

UpscalerTile = Annotated[StrictInt, Field(ge=64, le=2048)]


class UpscaleRequest(JobRequest):
    """Upscale an image. `image`: the id of a gallery image or of an uploaded file."""

    image: ImageId
    scale: Literal[2, 4] = 2
    upscaler: Name | None = None
    """A model's name or "Lanczos"; None = the first model installed, else Lanczos."""
    tile_size: UpscalerTile | None = None
    """Side in input pixels of the tiles that a model works on; None = 256. Smaller ones take less memory."""
    tiling: Tiling = "none"
    """Over which borders the picture continues at the opposite one, as it records itself."""


class CaptionRequest(JobRequest):
    """Caption an image. `max_tokens`: upper limit of the caption's length."""

    image: ImageId
    style: Name = "detailed"
    captioner: Name | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=1000)] = 300

    @property
    def images_asked(self) -> int:
        return 0


class DetectRequest(JobRequest):
    """Find regions of an image. `confidence`: from which on a region counts."""

    image: ImageId
    detector: Name | None = None
    """None = the first usable one."""
    confidence: Annotated[StrictFloat, Field(ge=0.01, le=1)] = 0.3

    @property
    def images_asked(self) -> int:
        return 0
