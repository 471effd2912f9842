"""Jobs that find regions of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ...request import DetectRequest, JobRequest
from ...storage.images import probe
from ..context import JobContext
from .base import JobHandler, RunningJob, given, picture_name

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE = "The picture"


class DetectHandler(JobHandler):
    request_type = DetectRequest

    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[DetectRequest, Sequence[str]]:
        """The request with the detector resolved.

        `asked`: `image`, `detector` (None = the first usable one), `confidence` (0.01 to 1).
        """
        request = DetectRequest.validated(**given(asked))
        detector = context.registry.detector(request.detector)
        seen = probe(context.picture_path(request.image), PICTURE)
        return request.model_copy(update={"detector": detector.name}), seen.notes(PICTURE)

    def run(self, context: JobContext, running: RunningJob) -> None:
        """Sets the result {regions, detector, confidence, image, width, height}; a region is {class,
        confidence, box, mask}. A mask is the id of an input picture, white inside, of the picture's size;
        None where the detector knows boxes only."""
        from ...core.image_ops import read

        request = running.job.request
        assert isinstance(request, DetectRequest)
        detector = context.registry.detector(request.detector)
        image = read(context.picture_path(request.image))
        running.check()
        regions = context.generator.detect(image, detector, request.confidence, running)
        masks = [each.mask and context.inputs.store(_png(each.mask)) for each in regions]
        running.set_result(
            {
                "regions": [{**each.told(), "mask": mask} for each, mask in zip(regions, masks, strict=True)],
                "detector": detector.name,
                "confidence": request.confidence,
                "image": request.image,
                "width": image.width,
                "height": image.height,
            }
        )

    def title(self, request: JobRequest) -> str:
        assert isinstance(request, DetectRequest)
        return f"Regions of {picture_name(request.image)} ({request.detector})"


def _png(mask: Image) -> bytes:
    data = BytesIO()
    mask.save(data, "PNG")
    return data.getvalue()
