"""Jobs that upscale an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ...errors import RequestError
from ...gallery.metadata import recall
from ...models.upscalers import LANCZOS, MAX_UPSCALED_PIXELS
from ...request import JobRequest, UpscaleRequest
from ...storage.images import probe
from ..context import JobContext, is_input
from .base import JobHandler, RunningJob, given, picture_name

PICTURE = "The picture"


class UpscaleHandler(JobHandler):
    request_type = UpscaleRequest
    step_name = "Tile"

    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[UpscaleRequest, Sequence[str]]:
        """The request with the upscaler resolved.

        `asked`: `image`, `scale` (2 or 4), `upscaler` (a name, "Lanczos", None = the first model installed).
        A picture that records that it is seamless stays so.
        """
        request = UpscaleRequest.validated(**given(asked))
        path = context.picture_path(request.image)
        seen = probe(path, PICTURE)
        width, height = (side * request.scale for side in seen.size)
        if width * height > MAX_UPSCALED_PIXELS:
            raise RequestError(
                f"{width} x {height} pixels are more than {MAX_UPSCALED_PIXELS / 1e6:.0f} megapixels; "
                "choose a smaller scale or picture."
            )
        warnings = seen.notes(PICTURE)
        model = None if request.upscaler == LANCZOS else context.registry.upscaler(request.upscaler)
        if model is None and request.upscaler != LANCZOS:
            warnings.append("There is no usable upscaling model in checkpoint/upscale; Lanczos is used.")
        resolved = {"upscaler": model.name if model else LANCZOS, "tiling": recall.tiling_of(path)}
        return request.model_copy(update=resolved), warnings

    def run(self, context: JobContext, running: RunningJob) -> None:
        """Saves the result beside its original as N_upscaled.png, or in a new run for an input image."""
        from ...core.image_ops import read_with_alpha

        request = running.job.request
        assert isinstance(request, UpscaleRequest)
        path = context.picture_path(request.image)
        model = None if request.upscaler == LANCZOS else context.registry.upscaler(request.upscaler)
        running.check()
        picture = context.generator.upscale(read_with_alpha(path), request, model, running)
        running.check()
        running.warn(picture.warnings)
        save: Callable[..., str] = context.outputs.save_upscaled
        if is_input(request.image):
            # Recorded before the image is saved, so that recovery after a kill finds it.
            save = partial(context.outputs.save_upscaled_input, started=running.run_started)
        image_id = save(
            request.image,
            picture.image,
            request.scale,
            picture.facts["upscaler"],
            (*running.job.warnings, *picture.warnings),
            {key: value for key, value in picture.facts.items() if key not in ("upscaler", "scale")},
            job_id=running.job.id,
        )
        running.image_done(image_id)

    def title(self, request: JobRequest) -> str:
        assert isinstance(request, UpscaleRequest)
        return f"Upscale {picture_name(request.image)} {request.scale}x with {request.upscaler}"
