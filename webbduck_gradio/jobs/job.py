"""What the queue knows about one job, as an immutable snapshot."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import ValidationError

from ..errors import RequestError
from ..request import CaptionRequest, GenerationRequest, UpscaleRequest, error_message, upgrade_stored_request
from ..storage.reading import parse_json

log = logging.getLogger(__name__)

Kind = Literal["generate", "test", "upscale", "caption"]
State = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]

KINDS: tuple[str, ...] = get_args(Kind)
FINAL: tuple[State, ...] = ("completed", "failed", "cancelled", "interrupted")
"""States that a job never leaves; a retry is a new job."""
RETRYABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")

AT_ONCE, AFTER_IMAGE = 1, 2
"""What the column `cancel_requested` holds beside 0."""

AnyRequest = GenerationRequest | UpscaleRequest | CaptionRequest

REQUESTS: dict[str, type[AnyRequest]] = {
    "generate": GenerationRequest,
    "test": GenerationRequest,
    "upscale": UpscaleRequest,
    "caption": CaptionRequest,
}
"""The request that belongs to each kind that this version can run."""


@dataclass(frozen=True)
class Job:
    """A job at one moment. Times are seconds since 1970, durations are seconds."""

    id: str
    kind: Kind
    state: State
    request: AnyRequest
    """Of the type that REQUESTS names for the kind; `painting` where only a picture's settings will do."""
    owner: str | None
    position: int | None
    """1 = next; only while queued."""
    created: float
    started: float | None
    finished: float | None
    step: int
    """Denoising steps done of the current image, or tiles of an upscaling, of `total`."""
    total: int
    image_index: int
    """The image being made, from 0."""
    status: str
    """What is going on, or how it ended; one line for people. Empty while it paints: the step tells."""
    run: str | None
    images: tuple[str, ...]
    """Ids of the finished images, as they finish."""
    warnings: tuple[str, ...]
    error: str | None
    """Why it failed or was interrupted; one sentence."""
    preview: int
    """0 = there is none; rises with each new preview."""
    cancel_requested: bool
    seconds_per_step: float | None = None
    """Measured in this job; None before there is something to go by."""
    seconds_left: float | None = None
    """Estimate for the running job from its own measured steps; None before there is something to go by."""
    cancel_after_image: bool = False
    """The cancel that was requested waits for the image being made."""
    retry_of: str | None = None
    """The job that this one repeats."""
    unreadable: str | None = None
    """Why the stored request does not validate any more (`request` then holds what could be read)."""
    result: dict[str, Any] | None = None
    """What came out beside pictures: {caption, style, captioner} of a caption job; else None."""

    @property
    def ended(self) -> bool:
        return self.state in FINAL

    @property
    def generation_request(self) -> GenerationRequest:
        """The settings of the pictures. Raises `RequestError` for a job that draws none."""
        if not isinstance(self.request, GenerationRequest):
            raise RequestError(f"Job {self.id} is of the kind {self.kind}; it has no settings of a picture.")
        return self.request

    @property
    def images_asked(self) -> int:
        """Pictures that the job makes when all goes well; 0 for a caption."""
        return images_asked(self.request)

    def waited(self, now: float) -> float:
        """Seconds between submission and start, or until `now` (or the end) where it has not started."""
        return max(0.0, (self.started or self.finished or now) - self.created)

    @property
    def took(self) -> float | None:
        """Seconds from start to end; None where they are not known, as after the clock was set back."""
        if self.started is None or self.finished is None or self.finished < self.started:
            return None
        return self.finished - self.started


def images_asked(request: AnyRequest) -> int:
    """Pictures that a request makes; 0 for a caption."""
    if isinstance(request, GenerationRequest):
        return request.num_images
    return 1 if isinstance(request, UpscaleRequest) else 0


def kept_text(done: int, asked: int) -> str:
    """'2 of 4 images kept'; `asked` is 0 for a caption."""
    if not asked:
        return "no caption was made"
    if not done:
        return "no image was finished"
    return f"{done} of {asked} image{'s' if asked != 1 else ''} kept"


def read_request(kind: str, text: str) -> tuple[AnyRequest, str | None]:
    """The stored request, and None or the sentence that says why it does not validate any more.

    Fields that were added since get their defaults, which stand for what was done before they existed.
    """
    model = REQUESTS.get(kind)
    if model is None:
        request, _ = _salvage(GenerationRequest, text)
        return request, f"This version of the studio cannot run jobs of the kind {kind}."
    text = _in_todays_words(text) if model is GenerationRequest else text
    try:
        return model.model_validate_json(text), None
    except ValidationError as error:
        request, known = _salvage(model, text)
        why = error_message(error, model) if known else "it is not a readable request."
        return request, f"This job's stored settings do not fit this version of the studio: {why}"
    except Exception as error:
        # A fault in a validator must cost this job, not the queue behind it.
        log.exception("A stored request could not be validated")
        request, _ = _salvage(model, text)
        return request, f"This job's stored settings could not be read ({type(error).__name__})."


def _in_todays_words(text: str) -> str:
    if '"masked_content"' in text:  # no old one; a prompt that says so has its quotes escaped
        return text
    try:
        stored = parse_json(text)
        return json.dumps(upgrade_stored_request(stored)) if isinstance(stored, dict) else text
    except ValueError:
        return text  # what is wrong with it is said by whoever validates it


def _salvage(model: type[AnyRequest], text: str) -> tuple[AnyRequest, bool]:
    """As much of a request as still validates, for showing only; and whether it was a request at all."""
    try:
        stored = parse_json(text)
    except ValueError:
        stored = None
    known = isinstance(stored, dict)
    fields: dict[str, Any] = {k: v for k, v in stored.items() if k in model.model_fields} if known else {}
    needed: dict[str, Any] = {"image": "unknown"}
    if model is GenerationRequest:
        needed = {"base_model": "unknown", "seed": 0}
    while True:
        try:
            return model(**{**needed, **fields}), known
        except ValidationError as error:
            wrong = {str(e["loc"][0]) for e in error.errors() if e["loc"]} & fields.keys()
            # An error of the whole (a combination) names no field.
            fields = {k: v for k, v in fields.items() if k not in wrong} if wrong else {}
        except Exception:
            return model.model_construct(None, **needed), known
