"""The inputs and outputs of YOLO v8 and v11, which the starter detector shares: letterbox, boxes, masks.

Sources: Ultralytics' documentation of the exported formats. A detect model answers (1, 4 + classes, anchors);
a segment model appends 32 mask coefficients to each anchor and answers (1, 32, h, w) prototypes as well
(Bolya et al. 2019, YOLACT).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[numpy.float32]

GREY = 114
"""The border of a picture that does not fill the input."""
OVERLAP = 0.7
"""Boxes of one class that share more than this (intersection over union) are one region."""
MOST = 300
"""Regions of a picture, at most."""


@dataclass(frozen=True)
class Letterbox:
    """Where a picture of `size` lies within a model's input of `input`: resized to `inside`, its upper left
    corner at (`left`, `top`). All in pixels, (width, height)."""

    size: tuple[int, int]
    input: tuple[int, int]
    inside: tuple[int, int]
    left: int
    top: int

    def to_picture(self, boxes: Floats) -> Floats:
        """Boxes (n, 4: left, top, right, bottom) of the input in the picture's pixels, cut at its edges."""
        across, down = self.size[0] / self.inside[0], self.size[1] / self.inside[1]
        shifted = (boxes - [self.left, self.top, self.left, self.top]) * [across, down, across, down]
        limits = numpy.array([self.size[0], self.size[1]] * 2, numpy.float32)
        return numpy.clip(shifted, 0, limits).astype(numpy.float32)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The picture's place in the input."""
        return self.left, self.top, self.left + self.inside[0], self.top + self.inside[1]


def letterbox(image: Image.Image, width: int, height: int) -> tuple[Floats, Letterbox]:
    """The input (1, 3, height, width), RGB in 0..1, with the whole picture in its middle."""
    scale = min(width / image.width, height / image.height)
    inside = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    place = Letterbox(
        image.size, (width, height), inside, (width - inside[0]) // 2, (height - inside[1]) // 2
    )
    sheet = Image.new("RGB", (width, height), (GREY, GREY, GREY))
    sheet.paste(image.convert("RGB").resize(inside, Image.Resampling.BILINEAR), (place.left, place.top))
    pixels = numpy.asarray(sheet, dtype=numpy.float32).transpose(2, 0, 1) / 255
    return numpy.ascontiguousarray(pixels[None]), place


@dataclass(frozen=True)
class Found:
    """The boxes of an input, the most confident first: `boxes` (n, 4: left, top, right, bottom), `scores`
    (n) in 0..1, `classes` (n), and `coefficients` (n, 32) of their masks, or (n, 0)."""

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[numpy.int64]
    coefficients: Floats


def decode(output: Floats, classes: int, confidence: float) -> Found:
    """What a model's first output (1, 4 + classes + coefficients, anchors) tells, from `confidence` on."""
    rows = output[0].astype(numpy.float32).T
    each_class = rows[:, 4 : 4 + classes]
    best = each_class.argmax(axis=1)
    scores = each_class[numpy.arange(len(rows)), best]
    usable = (scores >= confidence) & numpy.isfinite(rows).all(axis=1)
    rows, best, scores = rows[usable], best[usable], scores[usable]
    middle, half = rows[:, :2], rows[:, 2:4] / 2
    boxes = numpy.concatenate([middle - half, middle + half], axis=1)
    kept = suppressed(boxes, scores, best)
    return Found(boxes[kept], scores[kept], best[kept], rows[kept, 4 + classes :])


def suppressed(
    boxes: Floats, scores: Floats, classes: npt.NDArray[numpy.int64], overlap: float = OVERLAP
) -> list[int]:
    """Which boxes stay when those are left out that a more confident one of their class covers (non-maximum
    suppression); the most confident first, ties by position."""
    left = list(numpy.argsort(-scores, kind="stable"))
    area = numpy.prod(numpy.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    kept: list[int] = []
    while left and len(kept) < MOST:
        best = int(left.pop(0))
        kept.append(best)
        if not left:
            break
        others = numpy.array(left)
        near = numpy.maximum(boxes[others, :2], boxes[best, :2])
        far = numpy.minimum(boxes[others, 2:], boxes[best, 2:])
        shared = numpy.prod(numpy.maximum(far - near, 0), axis=1)
        union = numpy.maximum(area[others] + area[best] - shared, 1e-9)
        apart = (classes[others] != classes[best]) | (shared / union <= overlap)
        left = list(others[apart])
    return kept


def mask_of(coefficients: Floats, prototypes: Floats, box: Floats, place: Letterbox) -> Image.Image:
    """A region's mask in the picture (L, 255 inside): its prototypes (32, h, w) weighted, within its box.

    `box`: of the picture.
    """
    count, height, width = prototypes.shape
    drawn = coefficients @ prototypes.reshape(count, -1).astype(numpy.float32)
    share = 1 / (1 + numpy.exp(-numpy.clip(drawn, -60, 60))).reshape(height, width)
    # The prototypes cover the whole input; the picture's part of it need not begin at a whole prototype.
    x, y = width / place.input[0], height / place.input[1]
    left, top, right, bottom = place.box
    inside = (left * x, top * y, right * x, bottom * y)
    whole = Image.fromarray(share.astype(numpy.float32), "F").resize(
        place.size, Image.Resampling.BILINEAR, box=inside
    )
    filled = numpy.zeros((place.size[1], place.size[0]), numpy.uint8)
    x1, y1, x2, y2 = whole_pixels(box, place.size)
    filled[y1:y2, x1:x2] = (numpy.asarray(whole)[y1:y2, x1:x2] > 0.5) * numpy.uint8(255)
    return Image.fromarray(filled, "L")


def whole_pixels(box: Floats | tuple[float, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The smallest box of whole pixels around `box`, within a picture of `size`, at least one pixel large."""
    left, top, right, bottom = (float(side) for side in box)
    x1 = min(max(0, int(numpy.floor(left))), size[0] - 1)
    y1 = min(max(0, int(numpy.floor(top))), size[1] - 1)
    x2 = min(max(x1 + 1, int(numpy.ceil(right))), size[0])
    y2 = min(max(y1 + 1, int(numpy.ceil(bottom))), size[1])
    return x1, y1, x2, y2
