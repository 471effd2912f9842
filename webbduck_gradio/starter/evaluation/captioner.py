"""Evaluates the starter captioner: does it name what an image shows, in every style?"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...core.captioning import caption
from ...models.captioners import STYLES, Captioner
from ..captions.templates import UNKNOWN, read
from ..drawing.scenes import SIZES, Attributes, draw, sample
from ..drawing.synthetic_images import Picture, synthetic_image
from .contact_sheets import contact_sheet, save_jpeg
from .inference import generate
from .sections import EvalContext, Row, Section
from .upscaler import photographs

FOLDER = "webbduck-starter-captioner"
BAR = 0.85
BARRED = {"colour": "colour", "subject": "subject", "setting": "scene"}
"""Attributes that must be named correctly, with their labels."""
_NAMES = {**BARRED, "time": "time of day", "hat": "hat kind or its absence", "hat_colour": "hat colour"}
_DRAWINGS, _PER_STYLE, _PAINTED, _SHOWN = 120, 40, 24, 24


def held_out(count: int, seed: int = 4711, scale: float = 1.0) -> list[tuple[Picture, Attributes]]:
    """Drawings of held-out combinations, in the training sizes times `scale`."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        attributes = sample(rng, held_out=True)
        width, height = (round(side * scale) for side in rng.choice(SIZES))
        found.append((draw(attributes, rng.randrange(2**31), width, height), attributes))
    return found


def described(captioner: Captioner, picture: Picture, style: str = "detailed") -> str:
    """The caption from the application's own code."""
    return caption(Image.fromarray(picture), captioner, style, 200, "cpu", torch.float32)[0]


def hits(text: str, attributes: Attributes) -> dict[str, bool]:
    """For each attribute in _NAMES, whether the caption is correct."""
    said = read(text)
    return {name: said[name] == getattr(attributes, name) for name in _NAMES}


def shares(captions: Sequence[str], shown: Sequence[Attributes]) -> dict[str, float]:
    """Share of correct captions per attribute; hats are checked for ducks only."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for text, attributes in zip(captions, shown, strict=True):
        for name, hit in hits(text, attributes).items():
            if not name.startswith("hat") or attributes.subject == "duck":
                asked[name] += 1
                right[name] += hit
    return {name: right[name] / asked[name] for name in asked}


def _told(found: dict[str, float], names: Sequence[str]) -> str:
    return ", ".join(f"{_NAMES[name]} {found[name]:.0%}" for name in names if name in found)


def section(context: EvalContext) -> Section | None:
    """The evaluation of the captioner; None if its folder is missing."""
    folder = context.models / "caption" / FOLDER
    if not (folder / "config.json").is_file():
        return None
    captioner = Captioner(FOLDER, folder, "folder", None)
    drawn = held_out(_DRAWINGS)
    shown = [attributes for _, attributes in drawn]
    captions = [described(captioner, picture) for picture, _ in drawn]
    found = shares(captions, shown)
    rows = [Row.share(f"{words}, detailed", found[name], BAR) for name, words in BARRED.items()]
    rows.append(Row("also", _told(found, ("time", "hat", "hat_colour"))))
    for style in STYLES[1:]:
        said = [described(captioner, picture, style) for picture, _ in drawn[:_PER_STYLE]]
        by_style = shares(said, shown[:_PER_STYLE])
        least = min(by_style[name] for name in BARRED)
        rows.append(Row.share(f"the least of the three, {style}", least, BAR))
    for scale in (0.5, 2.0):
        other = held_out(_PER_STYLE, 4712, scale)
        by_size = shares([described(captioner, p) for p, _ in other], [a for _, a in other])
        rows.append(Row(f"drawings of {scale:g} times the size", _told(by_size, tuple(BARRED))))
    painted = _painted(context)
    by_painted = shares([described(captioner, p) for p, _ in painted], [a for _, a in painted])
    rows.append(Row(f"{len(painted)} pictures painted by the checkpoint", _told(by_painted, tuple(BARRED))))
    others = [picture for _, picture in photographs()] + [synthetic_image(20_000_000 + n) for n in range(12)]
    unknown = np.mean([described(captioner, picture) == UNKNOWN for picture in others])
    rows.append(Row(f"{len(others)} pictures of other kinds called unknown", f"{unknown:.0%}"))
    if context.folder is not None:
        _sheet(captioner, drawn[:_SHOWN], context.folder / "starter-kit-captioner.jpg")
    misses = [
        f"{text} <- {attributes}"
        for text, attributes in zip(captions, shown, strict=True)
        if not all(hits(text, attributes)[name] for name in BARRED)
    ]
    return Section("Starter captioner", rows, _text(captioner, drawn[0][0]), misses)


def _painted(context: EvalContext) -> list[tuple[Picture, Attributes]]:
    """Images generated by the base checkpoint for some held-out prompts."""
    asked = context.asked[:_PAINTED]
    if "pictures" in context.__dict__:  # painted already for another section
        pictures = context.pictures[: len(asked)]
    else:
        pictures = generate(context.pipeline, [prompt for _, prompt in asked], context.seeds[: len(asked)])
    return [(picture, attributes) for picture, (attributes, _) in zip(pictures, asked, strict=True)]


def _sheet(captioner: Captioner, drawn: Sequence[tuple[Picture, Attributes]], path: Path) -> None:
    pictures = [picture for picture, _ in drawn]
    labels = [described(captioner, picture, "sd_prompt") for picture in pictures]
    save_jpeg(contact_sheet(pictures, labels), path, 200_000)


def _text(captioner: Captioner, example: Picture) -> str:
    lines = "\n".join(f"- {style}: {described(captioner, example, style)}" for style in STYLES)
    provenance = json.loads((captioner.path / "webbduck.json").read_text("utf-8"))["provenance"]
    return f"""{_DRAWINGS} held-out drawings in all sizes of the training, described through the studio's own
code; {_PER_STYLE} of them in each further style. Of a caption the first colour and subject, hat, scene and
time are read off. For pictures that the checkpoint painted, what was asked for counts as right: what the
painter gets wrong counts against the captioner. Pictures of other kinds: the photographs in Gradio's package
and pictures made by rule; the captioner learned from some of the latter to call them unknown.

The first drawing in every style:

{lines}

The first {_SHOWN} drawings, not chosen, with their captions in the style sd_prompt:

![drawings with their captions](starter-kit-captioner.jpg)

Where the weights come from: {provenance}
"""
