"""Evaluates the starter checkpoint above its native size: drawn at once, and redrawn from an enlarged picture
as hires fix does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ...core.detection import Detectors
from ...models.detectors import Detector
from ...models.scan import stamp_of
from ..drawing.scenes import NATIVE_SIZE, Attributes
from ..drawing.subjects import PARTS
from .attribute_classifier import AttributeClassifier
from .contact_sheets import contact_sheet, save_jpeg
from .detector import FILE
from .inference import GUIDANCE, STEPS, generate, score
from .sections import EvalContext, Row, Section

SIZES = (384, 512)
STRENGTHS = (0.3, 0.5)
SURE = 0.5
"""Confidence from which a region counts as a head: below it, the detector calls other parts of a single
duck a second one."""
BAR = 0.9
"""For the redrawn pictures without a second head. A whole scene that is drawn at once is only reported: any
checkpoint may double it, and the studio warns of it."""
_COUNT, _SHOWN, _BATCH = 24, 8, 4

Drawn = Sequence[np.ndarray]


def redrawn(context: EvalContext, pictures: Drawn, words: Sequence[str], side: int, strength: float) -> Drawn:
    """`pictures` enlarged to `side` px by Lanczos and redrawn with img2img."""
    pipeline = StableDiffusionXLImg2ImgPipeline(**context.pipeline.components)
    pipeline.set_progress_bar_config(disable=True)
    made: list[np.ndarray] = []
    for start in range(0, len(pictures), _BATCH):
        part = slice(start, start + _BATCH)
        made += list(
            pipeline(
                list(words[part]),
                image=[_resized(each, side) for each in pictures[part]],
                strength=strength,
                num_inference_steps=round(STEPS / strength),
                guidance_scale=GUIDANCE,
                generator=[torch.Generator().manual_seed(seed) for seed in context.seeds[part]],
                output_type="np",
            ).images
        )
    return [(picture * 255).round().astype(np.uint8) for picture in made]


def section(context: EvalContext) -> Section | None:
    """The evaluation above the native size; None without the starter detector, which counts the heads."""
    path = context.models / "detect" / FILE
    if not path.is_file():
        return None
    detector = Detector("starter", path, "starter", path.stat().st_size, stamp_of(path), PARTS, None)
    asked = [each for each in context.asked if each[0].subject == "duck"][:_COUNT]
    words, seeds = [prompt for _, prompt in asked], context.seeds[: len(asked)]
    native = generate(context.pipeline, words, seeds)
    rows = _rows(f"{NATIVE_SIZE} px, to compare", native, asked, context.classifier, detector, None)
    shown, labels = [*native[:_SHOWN]], [f"{NATIVE_SIZE} px: {each}" for each in words[:_SHOWN]]
    for side in SIZES:
        at_once = f"{side} px"
        kinds: dict[str, Drawn] = {at_once: generate(context.pipeline, words, seeds, width=side, height=side)}
        for strength in STRENGTHS:
            kinds[f"{side} px from {NATIVE_SIZE}, strength {strength:g}"] = redrawn(
                context, native, words, side, strength
            )
        for label, pictures in kinds.items():
            bar = None if label == at_once else BAR
            rows += _rows(label, pictures, asked, context.classifier, detector, bar)
            shown += pictures[:_SHOWN]
            labels += [label] * _SHOWN
    if context.folder is not None:
        sheet = contact_sheet([np.asarray(_resized(each, NATIVE_SIZE)) for each in shown], labels)
        save_jpeg(sheet, context.folder / "starter-kit-larger.jpg", 300_000)
    return Section("Starter checkpoint above its native size", rows, _text(len(asked)))


def _rows(
    label: str,
    pictures: Drawn,
    asked: Sequence[tuple[Attributes, str]],
    classifier: AttributeClassifier,
    detector: Detector,
    bar: float | None,
) -> list[Row]:
    small = [np.asarray(_resized(each, NATIVE_SIZE)) for each in pictures]
    shares, _ = score(small, asked, classifier)
    detectors = Detectors()
    heads = [
        sum(region.name == PARTS[0] for region in detectors.find(Image.fromarray(each), detector, SURE))
        for each in small
    ]
    alone = float(np.mean([number <= 1 for number in heads]))
    told = ", ".join(f"{name} {value:.0%}" for name, value in shares.items())
    single = f"{label}: no second head"
    return [
        Row.share(single, alone, bar) if bar is not None else Row(single, f"{alone:.1%}"),
        Row(f"{label}: as asked", told),
    ]


def _resized(picture: np.ndarray, side: int) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)


def _text(count: int) -> str:
    return f"""The first {count} held-out prompts with a duck, {STEPS} Euler steps, CFG {GUIDANCE:g}. All
pictures are judged at {NATIVE_SIZE} px, by the classifier and by the starter detector, whose regions count
from a confidence of {SURE:g} on: below it, it calls other parts of a single duck a second head.

![pictures above the native size](starter-kit-larger.jpg)
"""
