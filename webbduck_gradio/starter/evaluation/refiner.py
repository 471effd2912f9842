"""Evaluates the starter refiner: the same prompts and seeds with the base alone and with the refiner."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image

from ..drawing.scenes import draw
from ..training.commands import REFINER
from ..training.refiner_model import LAST_STEPS
from .checkpoint import BARS
from .contact_sheets import contact_sheet, save_jpeg
from .inference import SWITCH, finish_with_refiner, open_refiner, score
from .measures import acutance
from .sections import EvalContext, Row, Section

_SHOWN = 16


def section(context: EvalContext) -> Section | None:
    """The evaluation of base and refiner against the base alone; None if there is no refiner."""
    folder = context.models / "sdxl" / REFINER
    if not (folder / "model_index.json").is_file():
        return None
    refiner = open_refiner(folder)
    prompts = [prompt for _, prompt in context.asked]
    alone = context.pictures
    finished = finish_with_refiner(refiner, context.switched, prompts)
    before, _ = score(alone, context.asked, context.classifier)
    after, misses = score(finished, context.asked, context.classifier)
    rows = [
        Row(f"{name}: base / with refiner", f"{before[name]:.1%} / {after[name]:.1%}", "not lower", holds)
        for name in BARS
        if name in before
        for holds in [after[name] >= before[name]]
    ]
    sharp_before, sharp_after = (
        [acutance(picture) for picture in pictures] for pictures in (alone, finished)
    )
    sharper = statistics.fmean(
        after > before for before, after in zip(sharp_before, sharp_after, strict=True)
    )
    means = statistics.fmean(sharp_before), statistics.fmean(sharp_after)
    drawn = statistics.fmean(acutance(draw(shown, seed)) for seed, (shown, _) in enumerate(context.asked))
    rows += [
        Row(
            "edge steepness: base / with refiner (drawn)",
            f"{means[0]:.1f} / {means[1]:.1f} ({drawn:.1f})",
            "higher",
            means[1] > means[0],
        ),
        Row("pictures that are sharper with refiner", f"{sharper:.1%}", "more than half", sharper > 0.5),
    ]
    rows += score_rows(refiner, alone, prompts, context.seeds)
    if context.folder is not None:
        _sheet(context, alone, finished)
    return Section("Starter refiner", rows, _text(folder), misses)


def score_rows(
    refiner: StableDiffusionXLImg2ImgPipeline,
    pictures: list[np.ndarray],
    prompts: list[str],
    seeds: list[int],
) -> list[Row]:
    """Whether the aesthetic score has an effect: a high one should give sharper images than a low one."""
    steepness = {}
    for wanted in (6.5, 2.5):
        made = refiner(
            prompts[:_SHOWN],
            image=[Image.fromarray(picture) for picture in pictures[:_SHOWN]],
            strength=0.19,
            num_inference_steps=20,
            guidance_scale=1.0,
            aesthetic_score=wanted,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[:_SHOWN]],
            output_type="np",
        ).images
        steepness[wanted] = statistics.fmean(acutance((each * 255).round().astype(np.uint8)) for each in made)
    high, low = steepness[6.5], steepness[2.5]
    return [Row("edge steepness at score 6.5 / 2.5", f"{high:.1f} / {low:.1f}", "higher", high > low)]


def _sheet(context: EvalContext, alone: list[np.ndarray], finished: list[np.ndarray]) -> None:
    """Contact sheet: base above, refiner below, whole images and enlarged details."""
    assert context.folder is not None
    labels = [prompt for _, prompt in context.asked]
    cells, words = [], []
    for start in (0, 4):
        for kind, pictures in (("base", alone), ("with refiner", finished)):
            chosen = range(start, start + 4)
            cells += [pictures[index] for index in chosen]
            cells += [_enlarged(pictures[index]) for index in chosen]
            words += [f"{kind}: {labels[index]}" for index in chosen] + [f"{kind}, a part"] * 4
    save_jpeg(contact_sheet(cells, words), context.folder / "starter-kit-refiner.jpg", 300_000)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """The centre of the upper half, enlarged twice."""
    height, width = picture.shape[:2]
    part = picture[height // 8 : height // 8 + height // 2, width // 4 : width // 4 + width // 2]
    return np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)


def _text(folder: Path) -> str:
    provenance = json.loads((folder / "webbduck.json").read_text())["provenance"]
    return f"""The prompts and seeds of the base checkpoint, the last {LAST_STEPS} of 1,000 timesteps left to
the refiner (switch at {SWITCH:g}); measured as above.

- Edge steepness: the mean step between neighbouring grey values (0 to 255) over the steepest fiftieth of the
  picture. It falls when outlines blur, and grain in flat areas does not raise it.
- Score: the base's finished pictures drawn over at strength 0.19 and CFG 1, asked for a high and for a low
  aesthetic score.

Base (above) and base with refiner (below), the first eight prompts:

![base against base with refiner](starter-kit-refiner.jpg)

Where the weights come from: {provenance}
"""
