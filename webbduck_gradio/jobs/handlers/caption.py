"""Jobs that caption an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import RequestError
from ...models.captioners import STYLES
from ...request import CaptionRequest, JobRequest
from ...storage.images import probe
from ..context import JobContext
from .base import JobHandler, RunningJob, given, picture_name

PICTURE = "The picture"
MIN_SIDE = 4
"""Shortest side in pixels; models misread a side of 1 or 3 pixels as the number of channels."""


class CaptionHandler(JobHandler):
    request_type = CaptionRequest

    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[CaptionRequest, Sequence[str]]:
        """The request with the captioner resolved.

        `asked`: `image`, `style` (one of `captioners.STYLES`), `captioner` (None = the first usable one),
        `max_tokens` (1 to 1000).
        """
        request = CaptionRequest.validated(**given(asked))
        if request.style not in STYLES:
            raise RequestError(f"style must be one of: {', '.join(STYLES)}.")
        captioner = context.registry.captioner(request.captioner)
        seen = probe(context.picture_path(request.image), PICTURE)
        if min(seen.size) < MIN_SIDE:
            raise RequestError(
                f"The picture is {seen.size[0]} x {seen.size[1]} pixels; a caption needs at least "
                f"{MIN_SIDE} x {MIN_SIDE}."
            )
        warnings = seen.notes(PICTURE)
        if seen.transparent:
            warnings.append(f"{PICTURE} has transparent parts, which {captioner.name} sees as white.")
        return request.model_copy(update={"captioner": captioner.name}), warnings

    def run(self, context: JobContext, running: RunningJob) -> None:
        """Sets the result {caption, style, captioner, image}."""
        from ...core.image_ops import read

        request = running.job.request
        assert isinstance(request, CaptionRequest)
        captioner = context.registry.captioner(request.captioner)
        image = read(context.picture_path(request.image))
        running.check()
        text, warnings = context.generator.caption(image, request, captioner, running)
        running.warn(warnings)
        names = {"style": request.style, "captioner": captioner.name, "image": request.image}
        running.set_result({"caption": text, **names})

    def title(self, request: JobRequest) -> str:
        assert isinstance(request, CaptionRequest)
        return f"Caption {picture_name(request.image)} ({request.style.replace('_', ' ')})"
