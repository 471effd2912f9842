"""A part of a picture drawn anew; all else stays to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import StableDiffusionXLInpaintPipeline
from PIL import Image, ImageOps

from ...request import GenerationRequest
from .. import pictures
from ..drawing import Brush, Drawing


@dataclass(frozen=True)
class Canvas:
    """`original` and `mask` are of one size and make the result; `image` and `area` are what is drawn on,
    at the size of the request. `box`: where that lies in `original`, None = all of it."""

    original: Image.Image
    mask: Image.Image
    image: Image.Image
    area: Image.Image
    box: tuple[int, int, int, int] | None = None


def prepare(request: GenerationRequest, image: Image.Image, mask: Image.Image) -> Canvas:
    """Fit picture and mask; raises `GenerationError` where nothing is to be painted (after fitting).

    The canvas' masks are white where the picture is painted, whatever part the request's mask protects.
    """
    if request.inpainting_fill == "keep":
        mask = ImageOps.invert(mask)
    size = (request.width, request.height)
    box = None
    if request.inpaint_area == "masked":
        original, whole = image, mask
        box = pictures.surroundings(mask, request.inpaint_padding, request.width / request.height)
        image = image.crop(box).resize(size, Image.Resampling.LANCZOS)
        area = mask.crop(box).resize(size, Image.Resampling.BILINEAR).point(_binary)
    else:
        original = image = pictures.fit(image, size, request.resize_mode)
        whole = area = pictures.fit_mask(mask, size, request.resize_mode)
        pictures.surroundings(whole, 0, 1)  # an empty mask is an error
    if request.masked_content == "fill":
        image = pictures.fill(image, area)
    return Canvas(original, whole, image, area, box)


def _binary(value: int) -> int:
    return 255 if value >= 128 else 0


def draw(drawing: Drawing, brush: Brush, canvas: Canvas) -> torch.Tensor:
    """Latents of the canvas with its area drawn anew."""
    request = drawing.request
    return drawing.run(
        brush,
        StableDiffusionXLInpaintPipeline,
        request.steps,
        image=canvas.image,
        mask_image=canvas.area,
        width=request.width,
        height=request.height,
        strength=request.strength,
    )


def finish(canvas: Canvas, drawn: Image.Image, blur: int) -> Image.Image:
    """The original with what was drawn in the (blurred) mask, untouched elsewhere."""
    if canvas.box is None:
        return pictures.put_back(drawn, canvas.original, canvas.mask, blur)
    left, top, right, bottom = canvas.box
    whole = canvas.original.copy()
    whole.paste(drawn.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return pictures.put_back(whole, canvas.original, _inside(canvas, blur), 0)


def _inside(canvas: Canvas, blur: int) -> Image.Image:
    """The blurred mask, nothing outside of the box: there nothing was drawn."""
    assert canvas.box is not None
    mask = Image.new("L", canvas.mask.size, 0)
    mask.paste(pictures.soft(canvas.mask, blur).crop(canvas.box), canvas.box[:2])
    return mask
