"""Requests for work on one picture that is there: upscaling and captions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import ImageId, JobRequest, Name, StrictInt


class UpscaleRequest(JobRequest):
    """A finished picture upscaled. `image`: the id of a picture or of an uploaded file."""

    image: ImageId
    scale: Literal[2, 4] = 2
    upscaler: Name | None = None
    """A model's name or "Lanczos"; None = the first model that is there, else Lanczos."""


class CaptionRequest(JobRequest):
    """A caption of a picture. `max_tokens`: longest answer."""

    image: ImageId
    style: Name = "detailed"
    captioner: Name | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1, le=1000)] = 300

    @property
    def images_asked(self) -> int:
        return 0
