"""Inpainting: a masked part of an image is regenerated, the rest stays bit-identical."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy
import torch
from PIL import Image, ImageOps

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ...storage import masks
from .. import image_ops
from ..sampling.denoiser import Inpainted, ModelContext
from ..sampling.loop import SamplingPass, SamplingRun
from .base import Mode
from .img2img import encoded

INPAINTING_CHANNELS = 9
"""Input channels of the UNets of inpainting checkpoints: latents, mask, latents of the masked picture."""


class Inpaint(Mode):
    def __init__(self, region: InpaintRegion, mask_blur: int):
        self._region, self._mask_blur = region, mask_blur

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        mask = image_ops.read_soft_mask(image_ops.input_path(inputs, request.mask))
        return cls(prepare(request, image, mask), request.mask_blur)

    @property
    def inputs(self) -> Sequence[Image.Image]:
        region = self._region
        return region.original, region.mask, region.image, region.area

    @property
    def limit(self) -> Image.Image | None:
        return masks.hard(self._region.mask)

    def begin(self, run: SamplingRun, model: ModelContext) -> SamplingPass:
        region = self._region
        latents, masked = encoded(run, model, region.image), None
        if model.loaded.pipe.unet.config.in_channels == INPAINTING_CHANNELS:
            masked = encoded(run, model, image_ops.blanked(region.image, region.area))
        inpainted = Inpainted(latents, _latent_mask(region.area), masked)
        return run.begin(model, region.image.size, latents=latents, inpainted=inpainted)

    def finish(self, image: Image.Image) -> Image.Image:
        return finish(self._region, image, self._mask_blur)


@dataclass(frozen=True)
class InpaintRegion:
    """`original` and `mask` have the size of the result and are composited with it; `image` and `area`
    (aligned to latent pixels) are the model's inputs, at the size of the request. `box`: position of `image`
    in `original`; None = all of it."""

    original: Image.Image
    mask: Image.Image
    image: Image.Image
    area: Image.Image
    box: tuple[int, int, int, int] | None = None
    protects: bool = False
    """Whether the feathered edge is inside the inpainted part, so that the rest stays bit-identical."""


def prepare(request: GenerationRequest, image: Image.Image, mask: Image.Image) -> InpaintRegion:
    """Resize image and mask. Raises `GenerationError` if the resized mask leaves nothing to inpaint.

    The region's masks are white where the image is inpainted, also if the request's mask protects its part.
    """
    if request.inpainting_fill == "keep":
        mask = ImageOps.invert(mask)
    size = (request.width, request.height)
    box = None
    if request.inpaint_area == "masked":
        original, whole = image, mask
        # The box must contain the whole feathered edge: cut off, it would leave a seam.
        padding = request.inpaint_padding + image_ops.reach(request.mask_blur)
        box = image_ops.crop_region(mask, padding, request.width / request.height)
        image = image.crop(box).resize(size, Image.Resampling.LANCZOS)
        area = masks.painted(masks.resize(mask, size, box))
    else:
        original = image = image_ops.fit(image, size, request.resize_mode)
        whole = masks.fit(mask, size, request.resize_mode)
        area = masks.painted(whole)
        image_ops.crop_region(whole, 0, 1)  # raises for an empty mask
    if request.masked_content == "fill":
        image = image_ops.fill(image, area)
    return InpaintRegion(original, whole, image, masks.cells(area), box, request.inpainting_fill == "keep")


def finish(region: InpaintRegion, generated: Image.Image, blur: int) -> Image.Image:
    """The original with the generated image inside the feathered mask. `blur`: as `feather_mask` takes it."""
    if region.box is None:
        return image_ops.composite(generated, region.original, _feathered(region, region.mask, blur))
    left, top, right, bottom = region.box
    whole = region.original.copy()
    whole.paste(generated.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return image_ops.composite(whole, region.original, _feathered_in_box(region, blur))


def _feathered(region: InpaintRegion, mask: Image.Image, blur: int) -> Image.Image:
    """The mask with its feathered edge, which is always outside the request's own mask."""
    if region.protects:
        return ImageOps.invert(image_ops.feather_mask(ImageOps.invert(mask), blur))
    return image_ops.feather_mask(mask, blur)


def _feathered_in_box(region: InpaintRegion, blur: int) -> Image.Image:
    """The feathered mask, black outside the box, where nothing was generated."""
    assert region.box is not None
    mask = Image.new("L", region.mask.size, 0)
    mask.paste(_feathered(region, region.mask.crop(region.box), blur), region.box[:2])
    return mask


def _latent_mask(area: Image.Image) -> torch.Tensor:
    """`area` (L, aligned to latent pixels) as (1, 1, height / 8, width / 8): 1 where it is white, else 0."""
    cells = area.resize((area.width // 8, area.height // 8), Image.Resampling.NEAREST)
    return (torch.from_numpy(numpy.array(cells)) >= 128).float()[None, None]
