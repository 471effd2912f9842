"""Evaluates the starter detector: which heads and hats it finds, in drawings and in the checkpoint's
pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ...core.detection import Detectors, Region
from ...models.detectors import Detector
from ...models.probe.safetensors_header import read_header
from ...models.scan import stamp_of
from ..drawing.flocks import draw_flock
from ..drawing.scenes import SIZES, Attributes
from ..drawing.subjects import PARTS, Part
from ..drawing.synthetic_images import Picture, synthetic_image
from .contact_sheets import contact_sheet, save_jpeg
from .inference import generate
from .sections import EvalContext, Row, Section
from .upscaler import photographs

FILE = "webbduck-starter-detector.safetensors"
BAR = 0.9
"""For heads on unseen drawings: precision and recall."""
CONFIDENCE = 0.3
OVERLAP = 0.5
"""A region is a hit if it shares this much with the part (intersection over union)."""
_DRAWINGS, _PAINTED, _SHOWN = 120, 40, 12


def held_out_flocks(count: int, seed: int = 90_000) -> list[tuple[Picture, list[Part]]]:
    """Drawings of up to four ducks whose combinations no training has seen, in all sizes."""
    return [draw_flock(seed + number, *SIZES[number % len(SIZES)], held_out=True) for number in range(count)]


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(tall, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / max(sum(areas) - shared, 1e-9)


def hits(found: Sequence[Region], parts: Sequence[Part], size: tuple[int, int]) -> Counter[str]:
    """For each of PARTS, how many are `there`, `found` and `hit`: {"hat hit": 1, ...}.

    Parts that lie outside the picture by more than half do not count.
    """
    counted: Counter[str] = Counter()
    for name in PARTS:
        there = [cut for part in parts if part.name == name and (cut := _inside(part.box, size)) is not None]
        regions = [region for region in found if region.name == name]
        counted[f"{name} there"] = len(there)
        for region in regions:
            best = max(there, key=lambda box: overlap(box, region.box), default=None)
            counted[f"{name} found"] += 1
            if best is not None and overlap(best, region.box) >= OVERLAP:
                counted[f"{name} hit"] += 1
                there.remove(best)
    return counted


def _inside(box: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...] | None:
    left, top, right, bottom = box
    cut = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    whole = (right - left) * (bottom - top)
    wide, tall = cut[2] - cut[0], cut[3] - cut[1]
    return cut if min(wide, tall) > 0 and wide * tall > whole / 2 else None


def precision_and_recall(counted: Counter[str], name: str) -> tuple[float, float]:
    hit = counted[f"{name} hit"]
    return hit / max(counted[f"{name} found"], 1), hit / max(counted[f"{name} there"], 1)


def measured(detector: Detector, drawn: Sequence[tuple[Picture, list[Part]]]) -> Counter[str]:
    """`hits` of all drawings."""
    detectors, counted = Detectors(), Counter[str]()
    for picture, parts in drawn:
        image = Image.fromarray(picture)
        counted += hits(detectors.find(image, detector, CONFIDENCE), parts, image.size)
    return counted


def section(context: EvalContext) -> Section | None:
    """The evaluation of the detector; None if its file is missing."""
    path = context.models / "detect" / FILE
    if not path.is_file():
        return None
    detector = Detector("starter", path, "starter", path.stat().st_size, stamp_of(path), PARTS, None)
    drawn = held_out_flocks(_DRAWINGS)
    counted = measured(detector, drawn)
    rows = []
    for name in PARTS:
        for measure, value in zip(("precision", "recall"), precision_and_recall(counted, name), strict=True):
            label = f"{name}s on unseen drawings, {measure}"
            rows.append(Row.share(label, value, BAR) if name == PARTS[0] else Row(label, f"{value:.1%}"))
    painted = _painted(context)
    rows += _of_painted(detector, painted)
    detectors = Detectors()
    others = [picture for _, picture in photographs()] + [synthetic_image(30_000_000 + n) for n in range(24)]
    quiet = np.mean([not detectors.find(Image.fromarray(each), detector, CONFIDENCE) for each in others])
    rows.append(Row(f"{len(others)} pictures of other kinds in which it finds nothing", f"{quiet:.0%}"))
    if context.folder is not None:
        shown = [_with_boxes(picture, detector) for picture, _ in drawn[:_SHOWN]]
        shown += [_with_boxes(picture, detector) for picture, _ in painted[:_SHOWN]]
        sheet = contact_sheet(shown, [""] * len(shown))
        save_jpeg(sheet, context.folder / "starter-kit-detector.jpg", 200_000)
    return Section("Starter detector", rows, _text(read_header(path).metadata.get("provenance", "not said")))


def _painted(context: EvalContext) -> list[tuple[Picture, Attributes]]:
    """Pictures of ducks by the base checkpoint, for held-out prompts."""
    asked = [(at, attributes, words) for at, (attributes, words) in enumerate(context.asked)
             if attributes.subject == "duck"][:_PAINTED]  # fmt: skip
    if "pictures" in context.__dict__:  # painted already for another section
        pictures = [context.pictures[at] for at, _, _ in asked]
    else:
        pictures = generate(
            context.pipeline, [words for _, _, words in asked], [context.seeds[at] for at, _, _ in asked]
        )
    return [(picture, attributes) for picture, (_, attributes, _) in zip(pictures, asked, strict=True)]


def _of_painted(detector: Detector, painted: Sequence[tuple[Picture, Attributes]]) -> list[Row]:
    """Nobody drew boxes there: each picture was asked to hold one duck, and some a hat."""
    detectors = Detectors()
    names = [
        [region.name for region in detectors.find(Image.fromarray(picture), detector, CONFIDENCE)]
        for picture, _ in painted
    ]
    heads = [each.count(PARTS[0]) for each in names]
    right = [
        (PARTS[1] in found) == (attributes.hat is not None)
        for found, (_, attributes) in zip(names, painted, strict=True)
    ]
    return [
        Row.share(
            f"{len(painted)} pictures by the checkpoint: a head found",
            float(np.mean([number > 0 for number in heads])),
            BAR,
        ),
        Row("of these with exactly one", f"{np.mean([number == 1 for number in heads]):.0%}"),
        Row("a hat found where one was asked for, none elsewhere", f"{np.mean(right):.0%}"),
    ]


def _with_boxes(picture: Picture, detector: Detector) -> Picture:
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for region in Detectors().find(image, detector, CONFIDENCE):
        pen.rectangle(region.box, outline="blue" if region.name == PARTS[0] else "red", width=2)
    return np.asarray(image)


def _text(provenance: str) -> str:
    return f"""{_DRAWINGS} drawings of up to four ducks of different sizes, anywhere in the picture, in
combinations that no training has seen; a region at confidence {CONFIDENCE} is a hit if it shares at least
{OVERLAP:.0%} with the part (intersection over union). For pictures that the checkpoint painted, what was
asked for counts as right. Pictures of other kinds: the photographs in Gradio's package and pictures made by
rule.

The first drawings and painted pictures, not chosen; heads blue, hats red:

![drawings and painted pictures with boxes](starter-kit-detector.jpg)

Where the weights come from: {provenance}
"""
