"""The kinds of jobs. A new one is a module here, its request in `request` and a line in `HANDLERS`."""

from .base import JobHandler, RunningJob
from .caption import CaptionHandler
from .generate import GenerateHandler
from .upscale import UpscaleHandler

__all__ = ["HANDLERS", "JobHandler", "RunningJob", "handler_of"]

HANDLERS: dict[str, JobHandler] = {
    "generate": GenerateHandler(),
    "test": GenerateHandler(),
    "upscale": UpscaleHandler(),
    "caption": CaptionHandler(),
}


def handler_of(kind: str) -> JobHandler:
    """For showing a job; one of a kind that this version does not know is shown as a picture's."""
    return HANDLERS.get(kind, HANDLERS["generate"])
