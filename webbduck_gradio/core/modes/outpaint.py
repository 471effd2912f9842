"""Outpainting: a picture is extended on its sides; outside of a soft border the old pixels stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter
from scipy.ndimage import distance_transform_edt

from ...models.input_checks import InputImages
from ...request import GenerationRequest
from ...storage import masks
from .. import image_ops, previews
from ..outpaint_plan import Box, windows
from ..sampling.denoiser import ModelContext
from ..sampling.inpainted import Inpainted
from ..sampling.loop import SamplingPass, SamplingRun
from .base import Mode
from .img2img import encoded
from .inpaint import INPAINTING_CHANNELS

BLUR, SHARP = 0.08, 0.1
"""Radius by which the mirrored picture is blurred, and distance from the known part from which on that is all
of it, in native sizes: what is seen twice, such as a sun, would be drawn twice."""
FADE = 0.5
"""Distance from the known part, in native sizes, at which the mirrored picture has turned into noise."""
HELD, HOLD = 0.7, 0.25
"""Share of the steps for which the mirrored picture is held beside the known part, so that nothing begins at
the seam; it falls to 0 at the distance `HOLD`, in native sizes."""


class Outpaint(Mode):
    def __init__(self, image: Image.Image, size: tuple[int, int], kept: Box, mask_blur: int):
        """`image`: RGB, fits into `kept`, its place in a result of `size`."""
        self._original, self._kept, self._mask_blur = Image.new("RGB", size), kept, mask_blur
        self._original.paste(image, kept[:2])
        self._new = Image.new("L", size, 255)
        self._new.paste(0, kept)
        self._border = image_ops.feather_mask(self._new, mask_blur)

    @classmethod
    def prepare(cls, request: GenerationRequest, inputs: InputImages | None) -> Self:
        image = image_ops.read(image_ops.input_path(inputs, request.image))
        image = image_ops.fit(image, request.outpainted_size, request.resize_mode)
        return cls(image, (request.width, request.height), kept_box(request), request.mask_blur)

    @classmethod
    def largest_pass(cls, request: GenerationRequest, native: int) -> tuple[int, int]:
        boxes = windows((request.width, request.height), kept_box(request), native)
        sizes = [(right - left, bottom - top) for left, top, right, bottom in boxes]
        return max(sizes, key=lambda size: size[0] * size[1])

    @property
    def inputs(self) -> Sequence[Image.Image]:
        return self._original, self._new

    def parts(self, model: ModelContext) -> int:
        return len(self._windows(model))

    def pixels(self, request: GenerationRequest, model: ModelContext) -> int:
        return sum((right - left) * (bottom - top) for left, top, right, bottom in self._windows(model))

    def begin(self, run: SamplingRun, model: ModelContext) -> SamplingPass:
        box = self._windows(model)[run.part.number]
        image = (run.part.canvas or self._original).crop(box)
        new = self._unknown(run, model).crop(box)
        native = model.loaded.checkpoint.native_size
        image = blurred(mirrored(image, new), new, native)
        run.part = replace(run.part, placed=_placing(run.part.canvas or self._original, box))
        latents, masked = encoded(run, model, image), None
        area = masks.cells(new)
        distances = _distances(area)
        if model.loaded.pipe.unet.config.in_channels == INPAINTING_CHANNELS:
            masked = encoded(run, model, image_ops.blanked(image, area))
        _, channels, height, width = latents.shape
        noise = run.starting_noise((channels, height, width)).to(latents)
        held = HELD * (1 - distances * masks.CELL / (HOLD * native)).clamp(min=0)
        share = (distances * masks.CELL / (FADE * native)).clamp(max=1)
        latents = latents + (noise - latents) * share.to(latents)
        inpainted = Inpainted(latents, (distances > 0).float(), masked, hold_until=held)
        return run.begin(model, image.size, latents=latents, inpainted=inpainted)

    def end(self, run: SamplingRun, model: ModelContext, image: Image.Image) -> Image.Image:
        """The canvas with what was drawn in this part's window. Within the old picture's border it is left as
        drawn: `finish` blends it with the old pixels."""
        box = self._windows(model)[run.part.number]
        canvas = (run.part.canvas or self._original).copy()
        border = image_ops.feather_mask(self._unknown(run, model).crop(box), self._mask_blur)
        before = canvas.crop(box)
        joined = image_ops.composite(image, before, border)
        is_old = ImageChops.invert(self._new).crop(box)
        joined.paste(image, mask=ImageChops.darker(masks.painted(border), is_old))
        canvas.paste(joined, box[:2])
        return canvas

    def finish(self, image: Image.Image) -> Image.Image:
        return image_ops.composite(image, self._original, self._border)

    def _windows(self, model: ModelContext) -> list[Box]:
        return windows(self._original.size, self._kept, model.loaded.checkpoint.native_size)

    def _unknown(self, run: SamplingRun, model: ModelContext) -> Image.Image:
        """White where nothing is drawn before this part (L)."""
        unknown = self._new.copy()
        for box in self._windows(model)[: run.part.number]:
            unknown.paste(0, box)
        return unknown


def kept_box(request: GenerationRequest) -> Box:
    """The old picture's place in the result."""
    assert request.outpaint is not None
    left, top = request.outpaint.left, request.outpaint.top
    width, height = request.outpainted_size
    return left, top, left + width, top + height


def _placing(canvas: Image.Image, box: Box) -> Callable[[Image.Image], Image.Image]:
    """Puts previews of what is drawn in `box` into a small copy of the canvas."""
    factor = min(1.0, previews.LONGEST / max(canvas.size))
    small = canvas.resize([max(1, round(side * factor)) for side in canvas.size], reducing_gap=2.0)
    left, top, right, bottom = (round(edge * factor) for edge in box)

    def placed(preview: Image.Image) -> Image.Image:
        whole = small.copy()
        whole.paste(preview.resize((max(1, right - left), max(1, bottom - top))), (left, top))
        return whole

    return placed


def mirrored(image: Image.Image, new: Image.Image) -> Image.Image:
    """`image` (RGB) with each pixel where `new` (L) is white replaced by the one that lies as far on the
    other side of the nearest known pixel; what would lie outside of the known part is mirrored back into
    it."""
    known = numpy.asarray(new) == 0
    nearest: NDArray[numpy.int32] = distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    rows, columns = (
        _folded(2 * near - at, numpy.flatnonzero(known.any(axis=1 - axis)))
        for axis, (near, at) in enumerate(zip(nearest, numpy.indices(known.shape), strict=True))
    )
    is_known = known[rows, columns]
    pixels = numpy.asarray(image)
    source = pixels[numpy.where(is_known, rows, nearest[0]), numpy.where(is_known, columns, nearest[1])]
    return Image.fromarray(source)


def blurred(image: Image.Image, new: Image.Image, native: int) -> Image.Image:
    """`image` (RGB), where `new` (L) is white the more blurred the farther it is from the known part.
    `native`: the checkpoint's side in pixels."""
    distances = distance_transform_edt(numpy.asarray(new) > 0)
    # The third power: the first pixels beside the seam stay sharp, or it would show.
    shares = numpy.clip(distances / (SHARP * native), 0, 1) ** 3
    share = Image.fromarray((255 * shares).astype(numpy.uint8))
    return Image.composite(image.filter(ImageFilter.GaussianBlur(BLUR * native)), image, share)


def _folded(values: NDArray[numpy.int64], within: NDArray[numpy.int64]) -> NDArray[numpy.int64]:
    """Coordinates mirrored back and forth into the range from the first of `within` to its last."""
    low, length = int(within[0]), int(within[-1] - within[0])
    if length == 0:
        return numpy.full_like(values, low)
    turned = (values - low) % (2 * length)
    folded: NDArray[numpy.int64] = low + numpy.minimum(turned, 2 * length - turned)
    return folded


def _distances(area: Image.Image) -> torch.Tensor:
    """Distance of each latent pixel to the nearest known one, in latent pixels, (1, 1, h / 8, w / 8); 0 where
    `area` (L, w x h, aligned to latent pixels) is black."""
    size = area.width // masks.CELL, area.height // masks.CELL
    is_new = numpy.asarray(area.resize(size, Image.Resampling.NEAREST)) > 0
    return torch.from_numpy(distance_transform_edt(is_new)).float()[None, None]
