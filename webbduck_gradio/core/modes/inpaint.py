"""A part of a picture drawn anew; all else stays to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from diffusers import StableDiffusionXLInpaintPipeline
from PIL import Image, ImageOps

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ...storage import masks
from .. import image_ops
from ..sampling.loop import ModelContext, SamplingRun
from .base import Mode


class Inpaint(Mode):
    encodes_input = True

    def __init__(self, region: InpaintRegion, mask_blur: int):
        self._region, self._mask_blur = region, mask_blur

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        mask = image_ops.read_soft_mask(image_ops.input_path(inputs, request.mask))
        return cls(prepare(request, image, mask), request.mask_blur)

    def sample(self, run: SamplingRun, model: ModelContext, until: float | None) -> torch.Tensor:
        request = run.request
        return run.denoise(
            model,
            StableDiffusionXLInpaintPipeline,
            request.steps,
            image=self._region.image,
            mask_image=self._region.area,
            width=request.width,
            height=request.height,
            strength=request.strength,
        )

    def finish(self, image: Image.Image) -> Image.Image:
        return finish(self._region, image, self._mask_blur)


@dataclass(frozen=True)
class InpaintRegion:
    """`original` and `mask` are of one size and make the result; `image` and `area` (in whole cells of the
    latents) are what is drawn on, at the size of the request. `box`: where that lies in `original`, None =
    all of it."""

    original: Image.Image
    mask: Image.Image
    image: Image.Image
    area: Image.Image
    box: tuple[int, int, int, int] | None = None
    protects: bool = False
    """Whether the soft edge lies in what is painted, so that all else stays to the bit."""


def prepare(request: GenerationRequest, image: Image.Image, mask: Image.Image) -> InpaintRegion:
    """Fit picture and mask; raises `GenerationError` where nothing is to be painted (after fitting).

    The canvas' masks are white where the picture is painted, whatever part the request's mask protects.
    """
    if request.inpainting_fill == "keep":
        mask = ImageOps.invert(mask)
    size = (request.width, request.height)
    box = None
    if request.inpaint_area == "masked":
        original, whole = image, mask
        # With all of the soft edge, which would end in a seam where the box does.
        around = request.inpaint_padding + image_ops.reach(request.mask_blur)
        box = image_ops.crop_region(mask, around, request.width / request.height)
        image = image.crop(box).resize(size, Image.Resampling.LANCZOS)
        area = masks.painted(masks.resize(mask, size, box))
    else:
        original = image = image_ops.fit(image, size, request.resize_mode)
        whole = masks.fit(mask, size, request.resize_mode)
        area = masks.painted(whole)
        image_ops.crop_region(whole, 0, 1)  # an empty mask is an error
    if request.masked_content == "fill":
        image = image_ops.fill(image, area)
    return InpaintRegion(original, whole, image, masks.cells(area), box, request.inpainting_fill == "keep")


def finish(canvas: InpaintRegion, drawn: Image.Image, blur: int) -> Image.Image:
    """The original with what was drawn in the (blurred) mask, untouched elsewhere."""
    if canvas.box is None:
        return image_ops.composite(drawn, canvas.original, _edge(canvas, canvas.mask, blur))
    left, top, right, bottom = canvas.box
    whole = canvas.original.copy()
    whole.paste(drawn.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return image_ops.composite(whole, canvas.original, _inside(canvas, blur))


def _edge(canvas: InpaintRegion, mask: Image.Image, blur: int) -> Image.Image:
    """The mask with its soft edge, which lies outside of what the request's own mask covers."""
    if canvas.protects:
        return ImageOps.invert(image_ops.feather_mask(ImageOps.invert(mask), blur))
    return image_ops.feather_mask(mask, blur)


def _inside(canvas: InpaintRegion, blur: int) -> Image.Image:
    """The blurred mask, nothing outside of the box: there nothing was drawn."""
    assert canvas.box is not None
    mask = Image.new("L", canvas.mask.size, 0)
    mask.paste(_edge(canvas, canvas.mask.crop(canvas.box), blur), canvas.box[:2])
    return mask
