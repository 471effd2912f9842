"""What the endpoints return, as JSON objects. Times are in seconds since 1970, sizes in bytes.

Clients and the page read these keys; one that is removed or renamed breaks them.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from ..core.device_state import DeviceState
from ..gallery.metadata import PictureMetadata
from ..jobs.job import Kind, State
from ..request.modes import Mode


class JobAnswer(TypedDict):
    """A job, as /job returns it."""

    job_id: str
    kind: Kind
    mode: Mode | None
    title: str
    result: dict[str, Any] | None
    status: State
    headline: str
    position: int | None
    step: int
    total: int
    image_index: int
    progress: float
    preview: int
    cancelling: bool
    cancel_after_image: bool
    can_suspend: bool
    """Whether /suspend can put it aside, if it is not being cancelled."""
    suspending: bool
    can_continue: bool
    """Whether /continue lets it go on."""
    continues_at: dict[str, float | None] | None
    """Where it goes on: `image` (from 0), `step` (0: that image begins anew), `total`."""
    seconds_left: float | None
    seconds_per_step: float | None
    retry_of: str | None
    created: float
    started: float | None
    finished: float | None
    suspended: float | None
    continued: float | None
    """When it was put aside, and queued again, last."""
    run: str | None
    images: list[str]
    seeds: list[int | None]
    warnings: list[str]
    information: list[str]
    """Those of the warnings that only tell what was added or found as asked."""
    error: str | None
    owner: str | None
    waited: float | None
    request: dict[str, Any]
    """All fields of the job's request."""
    told: dict[str, Any]
    """Those that had an effect."""


class QueueAnswer(TypedDict):
    """The queue, as /queue returns it."""

    active_job_id: str | None
    queued_count: int
    paused: bool
    pause_reason: str | None
    counts: dict[str, int]
    """Number of jobs by status."""
    jobs: list[JobAnswer]
    """The running job, then the queued ones in order."""
    suspended: list[JobAnswer]
    """The jobs that were put aside."""
    recent: list[JobAnswer]
    problem: str | None
    time: float


class LiveAnswer(TypedDict, total=False):
    """What changes at every step of the running job; empty if none runs."""

    job_id: str
    headline: str
    progress: float
    preview: int
    images: list[str]
    cancelling: bool
    cancel_after_image: bool
    suspending: bool
    device: DeviceState


class GenerateAnswer(TypedDict):
    """The second value of /generate and /test."""

    job_id: str
    status: State
    run: str | None
    seeds: list[int | None]
    warnings: list[str]
    request: dict[str, Any]
    images: list[str]
    position: int | None
    headline: str
    error: str | None


class UpscaleAnswer(TypedDict):
    """The second value of /upscale."""

    job_id: str
    status: State
    images: list[str]
    warnings: list[str]
    headline: str
    request: dict[str, Any]
    upscaler: str
    scale: int


class RedrawAnswer(TypedDict):
    """The second value of /redraw."""

    job_id: str
    status: State
    images: list[str]
    warnings: list[str]
    headline: str
    request: dict[str, Any]
    upscaler: str
    scale: float


class CaptionAnswer(TypedDict):
    """The answer of /caption; `caption` is None until the job has ended."""

    caption: str | None
    style: str
    captioner: str
    job_id: str
    status: State
    headline: str
    warnings: list[str]


class DetectAnswer(TypedDict):
    """The answer of /detect; `regions`, size and `preview` are None until the job has ended."""

    regions: list[dict[str, Any]] | None
    """Each {class, confidence, box, mask}, the most confident first."""
    detector: str
    confidence: float
    width: int | None
    height: int | None
    preview: str | None
    job_id: str
    status: State
    headline: str
    warnings: list[str]


class CheckpointAnswer(TypedDict):
    """A checkpoint, as /models lists it."""

    name: str
    origin: str
    """Label of the other program's folder that it lies in, "" of our own; here and below."""
    arch: str
    lora_arch: str
    context: int
    layout: Literal["diffusers", "single_file"]
    prediction_type: str
    native_size: int
    size_bytes: int
    notes: list[str]
    dress: list[str]
    """The form in which it comes, in phrases: the format of its weights, and what is left out."""
    has_vae: bool
    """False: it draws only with a VAE (`vae`)."""
    draws: str
    """What it draws, in one sentence, where it lists the few words that it knows; else ""."""
    usable: bool
    reason: str | None
    """Why it cannot be used, in one sentence; here and below."""
    modified: float
    hash: str | None
    zero_snr: bool
    from_hub: bool
    converted_from: str
    """Name of the pickle that it was made from, or ""."""
    largest: int | None
    largest_redrawn: int | None
    distilled: dict[str, Any] | None
    """Of a model that draws in few steps: kind, by (header, metadata or name), steps, cfg, sampler, schedule;
    here and below."""
    defaults: dict[str, Any]
    suggested: dict[str, Any]


class LoraAnswer(TypedDict):
    """A LoRA, as /loras lists it."""

    name: str
    origin: str
    description: str
    weight: float
    trigger: str
    arch: str
    context: int
    kind: str
    size_bytes: int
    modified: float
    tags: list[str]
    favourite: bool
    preview: str | None
    base: str
    notes: str
    hash: str | None
    from_hub: bool
    distilled: dict[str, Any] | None
    compatible: bool | None
    reason: str | None


class SamplerAnswer(TypedDict):
    name: str
    schedules: list[str]
    automatic: str | None


class UpscalerAnswer(TypedDict):
    name: str
    origin: str
    reason: str | None


class CaptionerAnswer(TypedDict):
    name: str
    kind: str
    reason: str | None


class DetectorAnswer(TypedDict):
    name: str
    origin: str
    kind: str
    classes: list[str]
    masks: bool
    """Whether it finds outlines, and not boxes alone."""
    reason: str | None


class FolderAnswer(TypedDict):
    seed: int
    """Of all pictures; another call with it finds which ones are there."""
    jobs: list[dict[str, Any]]
    skipped: list[dict[str, Any]]


class VaeAnswer(TypedDict):
    name: str
    origin: str
    size_bytes: int
    hash: str | None
    reason: str | None


class StyleAnswer(TypedDict):
    """A style, as /styles lists it."""

    name: str
    origin: str
    prompt: str
    negative_prompt: str
    group: str
    """The divider above it in its file, or the name of a further file."""
    file: str
    preview: str | None
    """URL of its picture, relative to the studio's."""
    reason: str | None


class WildcardAnswer(TypedDict):
    name: str
    origin: str
    lines: int
    reason: str | None


class RunImageAnswer(TypedDict):
    id: str
    seed: int | None
    size_bytes: int
    modified: float
    variants: list[str]
    """Ids of its upscaled images."""


class RunAnswer(TypedDict):
    """A run, as /gallery lists it. `meta`: the content of its meta.json."""

    run: str
    created: float
    problem: str | None
    images: list[RunImageAnswer]
    meta: dict[str, Any]


class ImageAnswer(PictureMetadata):
    """The metadata of a picture, as /image returns it."""

    id: str
    told: dict[str, Any] | None
    """The settings that had an effect; None for pictures of other programs."""


class DeletionAnswer(TypedDict):
    """A deletion; /restore takes its id."""

    id: str
    deleted: float
    images: list[str]


class RestoredAnswer(TypedDict):
    id: str
    images: list[str]
