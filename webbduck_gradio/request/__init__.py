"""The requests that page, API, queue, core and metadata share, and the declaration of each setting."""

from .base import (
    INPUT_IMAGE_ID,
    MAX_INPUT_BYTES,
    MAX_SIDE,
    MIN_SIDE,
    SIDE_STEP,
    BaseRequest,
    ImageId,
    InputImageId,
    JobRequest,
    LoraSelection,
    Name,
    OutpaintSides,
    Side,
    bounds_in_words,
    error_message,
    numeric_bounds,
)
from .fields import Setting, in_form_order
from .image_requests import CaptionRequest, DetectRequest, UpscaleRequest
from .picture_fields import AN_IMAGE, MAX_IMAGES, MAX_LORAS, MAX_PIXELS, MAX_PROMPT, MAX_SEED
from .redraw_request import RedrawRequest
from .region_fields import DETAIL_SETTINGS, MAX_DETAILS, DetailPass
from .requests import (
    DEFAULT_SCHEDULER,
    SCHEDULERS,
    SETTINGS,
    GenerationRequest,
    upgrade_stored_request,
)

__all__ = [
    "AN_IMAGE",
    "DEFAULT_SCHEDULER",
    "DETAIL_SETTINGS",
    "INPUT_IMAGE_ID",
    "MAX_DETAILS",
    "MAX_IMAGES",
    "MAX_INPUT_BYTES",
    "MAX_LORAS",
    "MAX_PIXELS",
    "MAX_PROMPT",
    "MAX_SEED",
    "MAX_SIDE",
    "MIN_SIDE",
    "SCHEDULERS",
    "SETTINGS",
    "SIDE_STEP",
    "BaseRequest",
    "CaptionRequest",
    "DetailPass",
    "DetectRequest",
    "GenerationRequest",
    "ImageId",
    "InputImageId",
    "JobRequest",
    "LoraSelection",
    "Name",
    "OutpaintSides",
    "RedrawRequest",
    "Setting",
    "Side",
    "UpscaleRequest",
    "bounds_in_words",
    "error_message",
    "in_form_order",
    "numeric_bounds",
    "upgrade_stored_request",
]
