"""The job kinds. A new kind needs a module here, its request in `request` and an entry in `HANDLERS`."""

from .base import JobHandler, RunningJob
from .caption import CaptionHandler
from .detect import DetectHandler
from .generate import GenerateHandler
from .redraw import RedrawHandler
from .upscale import UpscaleHandler

__all__ = ["HANDLERS", "JobHandler", "RunningJob", "handler_of"]

HANDLERS: dict[str, JobHandler] = {
    "generate": GenerateHandler(),
    "test": GenerateHandler(),
    "upscale": UpscaleHandler(),
    "redraw": RedrawHandler(),
    "caption": CaptionHandler(),
    "detect": DetectHandler(),
}


def handler_of(kind: str) -> JobHandler:
    """The handler for displaying a job; a kind unknown to this version is displayed like "generate"."""
    return HANDLERS.get(kind, HANDLERS["generate"])
