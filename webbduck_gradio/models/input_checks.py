"""Whether an input picture and its mask can be used, and what of them will not be: before a job is queued."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

from PIL import Image

from ..errors import RequestError, StorageError
from ..request import GenerationRequest
from ..request.samplers import sampler_named
from ..storage import images, masks

PICTURE = "The input picture"
FORGETTING_STRENGTH = 0.8
"""From this denoising strength on, little is left of what a picture starts from."""


class InputImages(Protocol):
    """Where the files of input pictures are (`gallery.input_images.InputImageStore`)."""

    def path(self, file_id: str) -> Path:
        """The file of an id. Raises `NotFoundError` where there is none."""


def check_inputs(inputs: InputImages, request: GenerationRequest) -> list[str]:
    """Warnings about what of the input picture and its mask is not used as it is.

    Raises `RequestError` for files that cannot be read and for a mask by which nothing would be drawn, and
    `NotFoundError` for a picture that is no longer there.
    """
    if request.image is None:
        return []
    try:
        seen = images.probe(inputs.path(request.image), PICTURE)
        warnings = seen.notes(PICTURE)
        if seen.transparent:
            warnings.append(f"{PICTURE} has transparent parts; they are taken as white.")
        if request.outpaint and seen.size != request.outpainted_size:
            warnings.append(_fitted(seen.size, request))
        if request.mask is None:
            return warnings
        path = inputs.path(request.mask)
        with images.open_picture(path, "The mask") as header:
            if images.upright_size(header) != seen.size:
                raise RequestError(
                    "The mask and the picture have different sizes; paint the mask on this picture."
                )
        is_soft = request.soft_inpainting == "on"
        with masks.opened(path, exact=is_soft) as (mask, notes):
            found = [*warnings, *notes, *_of_mask(mask, request), *_of_content(request)]
            return [*found, *_of_greys(mask, request)] if is_soft else found
    except StorageError as error:
        raise RequestError(str(error)) from error


def _fitted(size: tuple[int, int], request: GenerationRequest) -> str:
    """A warning about a picture that an outpainted one holds in another size."""
    (width, height), (wide, high) = size, request.outpainted_size
    return (
        f"{PICTURE} is {width} x {height} px, but width and height less outpaint leave {wide} x {high} for "
        f"it; it is resized by resize_mode {request.resize_mode}. Without width and height it keeps its size."
    )


def _of_mask(mask: Image.Image, request: GenerationRequest) -> list[str]:
    if request.inpainting_fill == "keep":
        return _protecting(mask, request)
    if mask.getbbox() is None:
        raise RequestError(masks.EMPTY)
    everything = mask.getextrema()[0] == 255
    if request.inpaint_area == "whole" and request.resize_mode == "crop" and not everything:
        return _cut_off(masks.share_cut_off(mask, (request.width, request.height)), request)
    return []


def _of_greys(mask: Image.Image, request: GenerationRequest) -> list[str]:
    """As `check_inputs`, of a mask that is not empty, with soft inpainting."""
    low, high = masks.extremes(mask)
    most = 255 - low if request.inpainting_fill == "keep" else high
    steps = request.first_pass_steps.drawn
    chooses_its_steps = sampler_named(request.sampler).is_adaptive and steps > 1
    if int(steps * most / 255) < 1 and not chooses_its_steps:
        raise RequestError(
            f"The mask leaves at most {round(100 * most / 255)} % of the {steps} steps to soft inpainting, "
            "which is less than one; take more steps, or change more of its grey."
        )
    if not request.mask_blur and not masks.has_grey(mask):
        return ["soft_inpainting changes nothing with a mask without grey and mask_blur 0."]
    return []


def _of_content(request: GenerationRequest) -> list[str]:
    content, strength = request.masked_content, request.strength
    if not content.startswith("latent ") or strength >= FORGETTING_STRENGTH:
        return []
    return [
        f"masked_content {content} shows through at strength {strength:g}; take at least "
        f"{FORGETTING_STRENGTH:g}, or fill or original as masked_content."
    ]


def _protecting(mask: Image.Image, request: GenerationRequest) -> list[str]:
    """As `check_inputs`, for a mask that protects what it covers."""
    if mask.getbbox() is None:
        return ["The mask is empty, so it protects nothing and the whole picture is painted."]
    if request.inpaint_area == "whole" and request.resize_mode == "crop":
        kept = masks.cut_box(mask.size, (request.width, request.height))
        mask = mask.crop((int(kept[0]), int(kept[1]), math.ceil(kept[2]), math.ceil(kept[3])))
    if mask.getextrema()[0] == 255:
        raise RequestError(
            "The mask covers the whole picture and protects it, so nothing is left to paint; "
            "leave a part of it free, or take replace as inpainting_fill."
        )
    return []


def _cut_off(share: float, request: GenerationRequest) -> list[str]:
    size = f"{request.width} x {request.height}"
    way = "take another size, pad or stretch as resize_mode, or inpaint_area masked"
    if share >= 1:
        raise RequestError(
            f"The mask lies in the part of the picture that crop cuts off to reach {size}; {way}."
        )
    if share <= 0:
        return []
    return [
        f"{max(1, round(share * 100))} % of the mask lies in the part of the picture that crop cuts off to "
        f"reach {size}; {way} to keep it."
    ]
