"""Evaluates the starter checkpoint: prompt adherence, and reconstruction by its VAE."""

from __future__ import annotations

import json
import statistics

import numpy as np
from diffusers import StableDiffusionXLPipeline

from ..drawing.scenes import HATS, SIZES, draw
from ..training.vae import held_out_psnr
from .attribute_classifier import QUESTIONS, AttributeClassifier
from .contact_sheets import contact_sheet, save_jpeg
from .inference import GUIDANCE, STEPS, generate, score
from .measures import sharpness
from .sections import EvalContext, Row, Section

BARS: dict[str, float] = {
    "body colour": 0.95,
    "scene": 0.95,
    "time of day": 0.95,
    "hat kind or its absence": 0.85,
    "subject": 0.95,
    "negative prompt removes": 0.80,
}
_SHOWN = 48
_WIDE_PROMPTS = (
    "a yellow duck wearing a golden crown on a pond at sunset",
    "a green duck wearing a red party hat in the snow on a sunny day",
    "a white duck in a meadow on a sunny day",
    "a black cat on the beach at night",
)


REMOVALS: tuple[tuple[str, str, str, str], ...] = (
    # (prompt that leaves open which it is, negative prompt, question, answer that has to go)
    *(("a duck wearing a hat", hat, "hat", hat) for hat in HATS),
    ("a duck", "night, moon, stars", "time", "night"),
    ("a duck", "sunset, evening", "time", "sunset"),
    ("a duck", "pond, water, lake", "setting", "pond"),
    ("a duck", "meadow, grass", "setting", "meadow"),
    ("a duck", "snow, winter", "setting", "snow"),
    ("a duck", "beach, sea", "setting", "beach"),
    ("a duck", "desert, cactus", "setting", "desert"),
)


def removal_share(
    pipeline: StableDiffusionXLPipeline, classifier: AttributeClassifier, seeds: int
) -> tuple[float, int]:
    """Of the images that show a thing without being asked to, the share without it under a negative prompt.

    The same seeds are used with and without the negative prompt. Also returns the number of images counted.
    """
    plain: dict[str, list[dict[str, str]]] = {}
    gone, counted = 0, 0
    for prompt, negative, question, answer in REMOVALS:
        numbers = list(range(700, 700 + seeds))
        if prompt not in plain:
            plain[prompt] = [
                classifier.classify([p])[0] for p in generate(pipeline, [prompt] * seeds, numbers)
            ]
        showing = [n for n, seen in zip(numbers, plain[prompt], strict=True) if seen[question] == answer]
        if not showing:
            continue
        for picture in generate(pipeline, [prompt] * len(showing), showing, negative=negative):
            counted += 1
            gone += classifier.classify([picture])[0][question] != answer
    return (gone / counted if counted else 0.0), counted


def section(context: EvalContext) -> Section:
    """The evaluation of the base checkpoint."""
    pipeline, classifier, asked, pictures = (
        context.pipeline,
        context.classifier,
        context.asked,
        context.pictures,
    )
    shares, misses = score(pictures, asked, classifier)
    seeds = max(4, min(20, context.prompts // 4))
    shares["negative prompt removes"], _ = removal_share(pipeline, classifier, seeds)
    rows = [Row.share(name, shares[name], bar) for name, bar in BARS.items()]
    mean, worst = held_out_psnr(pipeline.vae)
    rows += [Row.at_least("VAE PSNR, mean", mean, 29, "dB"), Row("VAE PSNR, worst", f"{worst:.2f} dB")]
    drawn = [draw(attributes, index) for index, (attributes, _) in enumerate(asked[:_SHOWN])]
    painted_sharp, drawn_sharp = (
        statistics.fmean(sharpness(each) for each in group) for group in (pictures[:_SHOWN], drawn)
    )
    rows.append(Row("sharpness (painted / drawn)", f"{painted_sharp:.2f} / {drawn_sharp:.2f}"))
    if context.folder is not None:
        _sheets(context, drawn)
    return Section("Starter checkpoint", rows, _text(context), misses)


def _sheets(context: EvalContext, drawn: list[np.ndarray]) -> None:
    """Contact sheets: the first prompts, drawings next to generated images, and other sizes."""
    folder, pictures = context.folder, context.pictures
    assert folder is not None
    labels = [prompt for _, prompt in context.asked]
    save_jpeg(contact_sheet(pictures[:_SHOWN], labels[:_SHOWN]), folder / "starter-kit.jpg", 300_000)
    # Drawn above, painted below: is it the same illustrator?
    beside = contact_sheet(
        [*drawn[:8], *pictures[:8]],
        [f"drawn: {p}" for p in labels[:8]] + [f"painted: {p}" for p in labels[:8]],
    )
    save_jpeg(beside, folder / "starter-kit-drawn-and-painted.jpg", 150_000)
    wide, names = [], []
    for width, height in SIZES[1:]:
        wide += generate(context.pipeline, _WIDE_PROMPTS, [5, 6, 7, 8], width=width, height=height)
        names += [f"{width}x{height}: {prompt}" for prompt in _WIDE_PROMPTS]
    save_jpeg(contact_sheet(wide, names), folder / "starter-kit-sizes.jpg", 200_000)


def _text(context: EvalContext) -> str:
    provenance = json.loads((context.checkpoint / "webbduck.json").read_text())["provenance"]
    accuracy = ", ".join(f"{question} {context.classifier_accuracy[question]:.1%}" for question in QUESTIONS)
    distinct = len({prompt for _, prompt in context.asked})
    differ = f"{distinct} different ones; the others recur with another seed"
    return f"""{context.prompts} held-out prompts ({differ}).
Their combinations of subject, colour, hat, setting and time are in no training picture. 256x256,
{STEPS} Euler steps, CFG {GUIDANCE:g}, float32 on the CPU.

- Body colour: the palette colour nearest (in L\\*a\\*b\\*) to the median pixel of a fixed window on the
  subject. On drawings it makes no mistake.
- Scene, time, hat and subject: a small classifier that learned from drawings. Its own accuracy on held-out
  drawings that went through this checkpoint's autoencoder: {accuracy}.
  What it gets wrong counts against the models.
- Hats are judged on ducks only, prompts without a hat included ("its absence").
- Negative prompts: the same seeds are painted with and without; counted are the pictures that show the thing
  without, and the share that no longer shows it with.
- PSNR: 48 held-out drawings, encoded and decoded in float32.
- Sharpness: mean difference of neighbouring grey values, of 0 to 255.

The first {_SHOWN} prompts, not chosen:

![{_SHOWN} pictures with their prompts](starter-kit.jpg)

Drawn (above) and painted (below) from the same words:

![drawn and painted](starter-kit-drawn-and-painted.jpg)

Other sizes:

![other aspect ratios](starter-kit-sizes.jpg)

Where the weights come from: {provenance}
"""
