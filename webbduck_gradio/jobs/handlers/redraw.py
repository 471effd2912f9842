"""Jobs that enlarge an image and redraw it in tiles ("Upscale with detail")."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import RequestError
from ...gallery.metadata import recall
from ...models import admission
from ...models.advice import distilled_warnings
from ...models.recorded_embeddings import with_embeddings
from ...models.sizes import redraw_warnings, seam_warnings
from ...models.upscalers import LANCZOS
from ...request import (
    MIN_SIDE,
    SETTINGS,
    CaptionRequest,
    GenerationRequest,
    JobRequest,
    RedrawRequest,
)
from ...request.redraw_request import MAX_REDRAWN_SIDE, default_overlap
from ...request.steps import under_strength
from ...request.tiles import possible_tiling
from ...storage.images import probe
from ..context import JobContext, is_input
from ..job import Job
from .base import JobHandler, RunningJob, given, picture_name
from .generate import LOADING

PICTURE = "The picture"
GROUPS = ("model", "prompt", "loras", "sampling", "guidance", "details")
OF_WHOLE_PICTURES = ("tiling", "details", "keep_stages")
DRAWN_BY = (
    *(name for name, each in SETTINGS.items() if each.group in GROUPS and name not in OF_WHOLE_PICTURES),
    *("seed", "prompt_2", "vae", "clip_skip", "emphasis", "noise_source", "ensd"),
)
"""Settings of the picture that its tiles are drawn by, unless others are asked for."""
OF_CAPTION = "The picture records no prompt, so its tiles are drawn by what {} says of it."
NO_PROMPT = (
    "The picture records no prompt, so its tiles are drawn without one; give a prompt, or a captioner that "
    "describes the picture."
)

NOT_SEAMLESS = (
    "The picture is seamless, but at {} x {} pixels the result is not in each direction; choose a scale that "
    "makes its sides multiples of 8."
)


class RedrawHandler(JobHandler):
    request_type = RedrawRequest
    can_be_suspended = True

    def prepare(self, context: JobContext, asked: Mapping[str, Any]) -> tuple[RedrawRequest, Sequence[str]]:
        """`asked`: the fields of `RedrawRequest` but `drawing`, whose fields stand beside them, as far as
        `DRAWN_BY` names them; None or missing = as the picture records it, else the checkpoint's default.

        `settings`: a RedrawRequest as JSON, as a redrawn picture records it, on which the others are based.
        """
        asked = given(asked)
        recorded = asked.pop("settings", None) or {}
        if not isinstance(recorded, Mapping) or not isinstance(recorded.get("drawing", {}), Mapping):
            raise RequestError("settings must be what a redrawn picture records as redraw.")
        image = asked.get("image", recorded.get("image"))
        if not isinstance(image, str):
            raise RequestError("image is missing; give a picture's id or a file.")
        path = context.picture_path(image)
        seen = probe(path, PICTURE)
        warnings = seen.notes(PICTURE)
        wanted = {name: asked.pop(name) for name in DRAWN_BY if name in asked}
        own = recorded.get("drawing") or _recorded(context, path, warnings, wanted)
        drawing = _drawing(context, {name: own[name] for name in DRAWN_BY if name in own}, wanted, warnings)
        fields = {**{name: value for name, value in recorded.items() if name != "drawing"}, **asked}
        checkpoint = context.registry.usable_checkpoint(drawing.base_model)
        fields.setdefault("tile_size", checkpoint.native_size)
        fields.setdefault("scale", checkpoint.defaults.redraw_scale)
        fields.setdefault("tiling", "none" if recorded else recall.tiling_of(path))
        if "strength" not in fields:
            fields["strength"] = _recommended_strength(checkpoint.defaults.redraw_strength, drawing)
        tile_size = fields["tile_size"]
        if "overlap" not in fields and isinstance(tile_size, int):
            fields["overlap"] = default_overlap(tile_size)
        request = RedrawRequest.validated(**{**fields, "image": image, "drawing": drawing})
        size = _result_size(seen.size, request.scale)
        tiling = possible_tiling(size, request.tiling)
        if tiling != request.tiling:
            warnings.append(NOT_SEAMLESS.format(*size))
        request = request.model_copy(update={"tiling": tiling})
        tiles = request.tiles(size)
        drawing = drawing.model_copy(update={"width": tiles.width, "height": tiles.height})
        warnings += admission.validate_request(context.registry, drawing, context.inputs)
        drawing = with_embeddings(context.registry, drawing)
        if tiles.tiling_of_one != "none":
            warnings += seam_warnings(tiles.width, tiles.height)
        warnings += redraw_warnings(checkpoint, (tiles.width, tiles.height), tiles.count, request.strength)
        warnings += distilled_warnings(context.registry, drawing, checkpoint)
        model = None if request.upscaler == LANCZOS else context.registry.upscaler(request.upscaler)
        if model is None and request.upscaler != LANCZOS:
            warnings.append("There is no usable upscaling model in checkpoint/upscale; Lanczos is used.")
        captioner = request.captioner and context.registry.captioner(request.captioner).name
        if drawing.prompt.strip():
            captioner = None
        else:
            warnings.append(OF_CAPTION.format(captioner) if captioner else NO_PROMPT)
        resolved = {"upscaler": model.name if model else LANCZOS, "drawing": drawing, "captioner": captioner}
        return request.model_copy(update=resolved), list(dict.fromkeys(warnings))

    def run(self, context: JobContext, running: RunningJob) -> None:
        """Saves the result as `UpscaleHandler` does."""
        from ...core.image_ops import read, read_with_alpha

        request = running.job.request
        assert isinstance(request, RedrawRequest)
        path = context.picture_path(request.image)
        checkpoint = context.registry.usable_checkpoint(request.drawing.base_model)
        model = None if request.upscaler == LANCZOS else context.registry.upscaler(request.upscaler)
        running.check()
        running.status("Preparing" if context.has_generator else LOADING)
        if request.captioner is not None:
            asked = CaptionRequest(image=request.image, captioner=request.captioner)
            captioner = context.registry.captioner(request.captioner)
            prompt, notes = context.generator.caption(read(path), asked, captioner, running)
            running.warn(notes)
            drawing = request.drawing.model_copy(update={"prompt": prompt})
            request = request.model_copy(update={"drawing": drawing, "captioner": None})
        picture = context.generator.redraw(
            read_with_alpha(path), request, checkpoint, model, running, running.continuation
        )
        running.check()
        running.warn(picture.warnings)
        loras = [lora["name"] for lora in picture.facts.get("loras", ())]
        facts = {**context.registry.known_hashes(checkpoint.name, loras), **picture.facts}
        save: Callable[..., str] = context.outputs.save_upscaled
        if is_input(request.image):
            # Recorded before the image is saved, so that recovery after a kill finds it.
            save = partial(context.outputs.save_upscaled_input, started=running.run_started)
        image_id = save(
            request.image,
            picture.image,
            request.scale,
            request.upscaler,
            tuple(dict.fromkeys((*running.job.warnings, *picture.warnings))),
            facts,
            job_id=running.job.id,
            redraw=request.model_dump(mode="json"),
        )
        running.image_done(image_id)

    def title(self, request: JobRequest) -> str:
        assert isinstance(request, RedrawRequest)
        return f"Upscale {picture_name(request.image)} {request.scale:g}x with detail"

    def obstacle(self, context: JobContext, request: JobRequest) -> str | None:
        assert isinstance(request, RedrawRequest)
        return admission.obstacle(context.registry, request.drawing)

    def log_details(self, job: Job) -> list[str]:
        request = job.request
        assert isinstance(request, RedrawRequest)
        return [f"{request.scale:g}x, tiles of {request.tile_size}, {request.drawing.base_model}"]


def _recorded(
    context: JobContext, path: Path, warnings: list[str], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """What the picture records of how it was made, without models that are not installed; `wanted` is asked
    for instead."""
    values, _ = recall.read_settings(path, context.registry, context.inputs)
    told = recall.understand(path)["fields"]
    model = told.get("base_model")
    if "base_model" not in wanted and model is not None:
        name = values.get("base_model")
        if name is None:
            warnings.append(f"The picture's checkpoint {model} is not installed; the default one draws.")
        elif context.registry.checkpoint(name).arch == "sdxl-inpaint":
            del values["base_model"]
            warnings.append(
                f"The picture's checkpoint {name} is made for inpainting only; the default one draws."
            )
    missing = len(told.get("loras") or ()) - len(values.get("loras") or ())
    if missing and "loras" not in wanted:
        warnings.append(f"{missing} of the picture's LoRAs cannot be used here; its tiles go without.")
    gone = [name for name in told.get("embeddings") or () if name not in (values.get("embeddings") or ())]
    if gone and "prompt" not in wanted:
        warnings.append(
            f"The picture's embeddings {', '.join(gone)} cannot be used here; their names are read as words."
        )
    return values


def _drawing(
    context: JobContext, own: Mapping[str, Any], wanted: Mapping[str, Any], warnings: list[str]
) -> GenerationRequest:
    """How the tiles are drawn; their size is filled in later."""
    own = dict(own)
    if "sampler" in wanted and "schedule" not in wanted:
        own.pop("schedule", None)  # which may not suit the other sampler
    if wanted.keys() & {"prompt", "negative_prompt", "styles", "base_model"}:
        own.pop("embeddings", None)  # what other prompts name, and another checkpoint can use
    fields = {**own, **wanted, "width": MIN_SIDE, "height": MIN_SIDE}
    if "base_model" in wanted and "loras" not in wanted and own.get("loras"):
        usable = {lora.name for lora in context.registry.loras(_name(context, wanted["base_model"]))}
        kept = [lora for lora in own["loras"] if lora["name"] in usable]
        if len(kept) < len(own["loras"]):
            warnings.append("LoRAs of the picture that the checkpoint cannot use are left out.")
        fields["loras"] = kept
    return admission.build_request(context.registry, fields)


def _recommended_strength(recommended: float, drawing: GenerationRequest) -> float:
    """A checkpoint's strength, or the least that leaves a step where that is more."""
    if under_strength(drawing.steps, recommended, drawing.strength_steps).drawn:
        return recommended
    return math.ceil(100 / drawing.steps) / 100


def _name(context: JobContext, name: Any) -> str:
    return context.registry.checkpoint_called(str(name)).name


def _result_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height of the result. Raises `RequestError` if it is too large."""
    width, height = (round(side * scale) for side in size)
    if max(width, height) > MAX_REDRAWN_SIDE:
        raise RequestError(
            f"{width} x {height} pixels are more than {MAX_REDRAWN_SIDE} on the longer side; choose a "
            "smaller scale or picture."
        )
    return width, height
