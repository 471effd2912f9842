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
from ..sampling.denoiser import ModelContext
from ..sampling.inpainted import Inpainted
from ..sampling.loop import SamplingPass, SamplingRun
from .base import Mode
from .img2img import encoded

INPAINTING_CHANNELS = 9
"""Input channels of the UNets of inpainting checkpoints: latents, mask, latents of the masked picture."""


class Inpaint(Mode):
    def __init__(self, region: InpaintRegion, mask_blur: int, content: str = "original"):
        """`content`: the request's `masked_content`."""
        self._region, self._mask_blur, self._content = region, mask_blur, content

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        path = image_ops.input_path(inputs, request.mask)
        mask = image_ops.read_soft_mask(path, exact=is_soft(request))
        return cls(prepare(request, image, mask), request.mask_blur, request.masked_content)

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
            masked = encoded(run, model, image_ops.blanked(region.image, masks.painted(region.area)))
        inpainted = Inpainted(latents, _latent_mask(region.area), masked, region.is_soft)
        start = self._start(run, model, inpainted)
        return run.begin(model, region.image.size, latents=start, inpainted=inpainted)

    def _start(self, run: SamplingRun, model: ModelContext, inpainted: Inpainted) -> torch.Tensor:
        """The clean latents that the images start from, one for all or for each: the input picture's, with
        `masked_content` where the mask is fully painted. "fill" and "original" are told by the region."""
        region, latents = self._region, inpainted.latents
        whole = (inpainted.mask == 1).to(latents)
        if self._content == "latent noise":
            noise = run.seed_noise(region.image.size).to(latents)
            return latents * (1 - whole) + noise * whole
        if self._content == "latent nothing":
            return latents * (1 - whole)
        if region.filled is None:
            return latents
        return latents * (1 - whole) + encoded(run, model, region.filled) * whole

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
    is_soft: bool = False
    """Whether grey parts of `area` are changed less (soft inpainting). `mask` is feathered already then."""
    filled: Image.Image | None = None
    """With `is_soft`, where it is asked for: `image` with the fully painted part filled by the colours around
    it. Without, `image` itself is filled."""


def is_soft(request: GenerationRequest) -> bool:
    return request.soft_inpainting == "on"


def prepare(request: GenerationRequest, image: Image.Image, mask: Image.Image) -> InpaintRegion:
    """Resize image and mask. Raises `GenerationError` if the resized mask leaves nothing to inpaint.

    The region's masks are white where the image is inpainted, also if the request's mask protects its part.
    """
    protects, soft, blur = request.inpainting_fill == "keep", is_soft(request), request.mask_blur
    if protects:
        mask = ImageOps.invert(mask)
    size = (request.width, request.height)
    box = None
    if request.inpaint_area == "masked":
        original, whole = image, mask
        # The box must contain the whole feathered edge: cut off, it would leave a seam.
        padding = request.inpaint_padding + image_ops.reach(blur)
        box = image_ops.crop_region(mask, padding, request.width / request.height)
        if soft:
            whole = _feathered_in_box(whole, box, blur, protects)
        image = image.crop(box).resize(size, Image.Resampling.LANCZOS)
        area = masks.resize(whole, size, box)
    else:
        original = image = image_ops.fit(image, size, request.resize_mode)
        whole = masks.fit(mask, size, request.resize_mode)
        image_ops.crop_region(whole, 0, 1)  # raises for an empty mask
        if soft:
            whole = _feathered(whole, blur, protects)
        area = whole
    filled = None
    if soft:
        if request.masked_content == "fill":
            filled = image_ops.fill(image, masks.full(area))
        return InpaintRegion(original, whole, image, masks.soft_cells(area), box, protects, True, filled)
    area = masks.painted(area)
    if request.masked_content == "fill":
        image = image_ops.fill(image, area)
    return InpaintRegion(original, whole, image, masks.cells(area), box, protects)


def finish(region: InpaintRegion, generated: Image.Image, blur: int) -> Image.Image:
    """The original with the generated image inside the feathered mask. `blur`: as `feather_mask` takes it."""
    mask, box = region.mask, region.box
    if region.is_soft:
        mask = _opacity(mask)
    elif box is None:
        mask = _feathered(mask, blur, region.protects)
    else:
        mask = _feathered_in_box(mask, box, blur, region.protects)
    if box is None:
        return image_ops.composite(generated, region.original, mask)
    left, top, right, bottom = box
    whole = region.original.copy()
    whole.paste(generated.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    return image_ops.composite(whole, region.original, mask)


def _opacity(mask: Image.Image) -> Image.Image:
    """How much of the generated image shows where a soft mask is grey: all from half grey on, since two
    pictures over each other would be seen there; less below, where they hardly differ, so that no edge is."""
    return mask.point([min(255, 2 * value) for value in range(256)])


def _feathered(mask: Image.Image, blur: int, protects: bool) -> Image.Image:
    """The mask with its feathered edge, which is always outside the request's own mask."""
    if protects:
        return ImageOps.invert(image_ops.feather_mask(ImageOps.invert(mask), blur))
    return image_ops.feather_mask(mask, blur)


def _feathered_in_box(
    mask: Image.Image, box: tuple[int, int, int, int], blur: int, protects: bool
) -> Image.Image:
    """The feathered mask, black outside the box, where nothing was generated."""
    feathered = Image.new("L", mask.size, 0)
    feathered.paste(_feathered(mask.crop(box), blur, protects), box[:2])
    return feathered


def _latent_mask(area: Image.Image) -> torch.Tensor:
    """`area` (L, aligned to latent pixels) as (1, 1, height / 8, width / 8), 0 to 1."""
    cells = area.resize((area.width // 8, area.height // 8), Image.Resampling.NEAREST)
    return (torch.from_numpy(numpy.array(cells)).float() / 255)[None, None]
