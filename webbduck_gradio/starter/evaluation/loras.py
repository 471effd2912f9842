"""Evaluates the starter LoRAs: style and content at weights 0, 0.5 and 1, with the same seeds."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
from safetensors import safe_open

from ..drawing.styles import STYLES, Style
from ..training.lora_files import with_lora
from .attribute_classifier import AttributeClassifier, classifier_for
from .checkpoint import BARS
from .contact_sheets import contact_sheet, save_jpeg
from .inference import generate, open_pipeline, score
from .sections import EvalContext, Row, Section
from .style_measures import MEASURES

WEIGHTS = (0.0, 0.5, 1.0)
CONTENT_BAR = 0.85
_PROMPTS = 40
_BETWEEN = 8
"""Number of prompts used at weights 0 and 0.5, too."""
_SHOWN = 8


def lora_name(style: str) -> str:
    """The name of the bundled LoRA of a style."""
    return f"webbduck-starter-{style}"


def section(context: EvalContext) -> Section | None:
    """The evaluation of all bundled LoRAs; None if there are none."""
    found = {
        style: path
        for style in STYLES
        if (path := context.loras / f"{lora_name(style)}.safetensors").is_file()
    }
    rows: list[Row] = []
    texts: list[str] = []
    misses: list[str] = []
    for style, path in found.items():
        part = _one(context, style, path)
        rows += part.rows
        texts.append(part.text)
        misses += part.misses
    if not found:
        return None
    return Section("Starter LoRAs", rows, _INTRODUCTION + "\n\n" + "\n\n".join(texts), misses)


def _one(context: EvalContext, style: str, path: Path) -> Section:
    """Rows and text for one LoRA, loaded into a separate pipeline."""
    count = min(_PROMPTS, context.prompts)
    asked, seeds = context.asked[:count], context.seeds[:count]
    prompts = [f"{STYLES[style].trigger}, {prompt}" for _, prompt in asked]
    few = min(_BETWEEN, count)
    bare = generate(context.pipeline, prompts[:few], seeds[:few])
    pipeline = with_lora(open_pipeline(context.checkpoint), path, style)
    painted: dict[float, list[np.ndarray]] = {}
    for weight in WEIGHTS:
        number = count if weight == 1.0 else few
        pipeline.set_adapters([style], [weight])
        painted[weight] = generate(pipeline, prompts[:number], seeds[:number])
    same = all(np.array_equal(one, two) for one, two in zip(bare, painted[0.0], strict=True))
    name, measure = MEASURES[style]
    amounts = {
        weight: [measure(picture) for picture in pictures[:few]] for weight, pictures in painted.items()
    }
    means = [statistics.fmean(amounts[weight]) for weight in WEIGHTS]
    ordered = statistics.fmean(
        low < middle < high
        for low, middle, high in zip(*(amounts[weight] for weight in WEIGHTS), strict=True)
    )
    more = statistics.fmean(high > low for low, high in zip(amounts[0.0], amounts[1.0], strict=True))
    classifier, accuracy = style_classifier(context, style)
    shares, misses = score(painted[1.0], asked, classifier, STYLES[style].tone)
    label = lora_name(style)
    rows = [
        Row(f"{label}: weight 0 changes nothing", "bit-equal" if same else "differs", "bit-equal", same),
        Row(
            f"{label}: {name} at 0 / 0.5 / 1",
            " / ".join(f"{mean:.2f}" for mean in means),
            "rising",
            means[0] < means[1] < means[2],
        ),
        Row.share(f"{label}: pictures with more {name} at 1 than at 0", more, 0.95),
        Row(f"{label}: pictures with 0.5 between", f"{ordered:.1%}"),
        *(
            Row.share(f"{label}: {question} kept at weight 1", shares[question], CONTENT_BAR)
            for question in ("body colour", "scene")
        ),
        *(
            Row(f"{label}: {question} kept at weight 1", f"{shares[question]:.1%}")
            for question in BARS
            if question in shares and question not in ("body colour", "scene")
        ),
        Row(f"{label}: size", f"{path.stat().st_size / 1e6:.2f} MB", "1 MB", path.stat().st_size <= 1e6),
    ]
    if context.folder is not None:
        _sheet(context.folder, label, [prompt for _, prompt in asked], painted)
    return Section(label, rows, _text(label, style, path, accuracy), [f"{label}: {miss}" for miss in misses])


def style_classifier(context: EvalContext, style: str) -> tuple[AttributeClassifier, dict[str, float]]:
    """A classifier trained on drawings in this style, with its accuracy on held-out ones."""
    return classifier_for(
        context.pipeline.vae, context.work / f"judge-{style}.pt", count=900, change=STYLES[style].apply
    )


def _sheet(folder: Path, label: str, prompts: list[str], painted: dict[float, list[np.ndarray]]) -> None:
    cells = [picture for weight in WEIGHTS for picture in painted[weight][:_SHOWN]]
    words = [f"weight {weight:g}: {prompt}" for weight in WEIGHTS for prompt in prompts[:_SHOWN]]
    save_jpeg(contact_sheet(cells, words), folder / f"starter-kit-{_short(label)}.jpg", 250_000)


def _short(label: str) -> str:
    return label.removeprefix("webbduck-starter-")


def _text(label: str, style: str, path: Path, accuracy: dict[str, float]) -> str:
    with safe_open(path, "pt") as file:
        said = file.metadata()
    style_info: Style = STYLES[style]
    own = ", ".join(f"{question} {share:.1%}" for question, share in accuracy.items())
    return f"""`{label}`, trigger phrase "{style_info.trigger}": {said["modelspec.description"]}
Accuracy of its classifier on held-out drawings in this style: {own}.

![{label} at weights 0, 0.5 and 1](starter-kit-{_short(label)}.jpg)"""


_INTRODUCTION = f"""The first {_PROMPTS} held-out prompts with the trigger phrase before them at weight 1,
the first {_BETWEEN} of them at 0 and 0.5 too, the same seeds throughout.

- Pen contrast: how much darker thin lines are than their surroundings (mean black top-hat of 9 by 9 pixels,
  in grey values).
- Blockiness: the step between neighbouring pixels where squares of 8 pixels meet, per step elsewhere. About
  1 on a picture that is not made of squares.
- Body colour: measured as for the base; for the ink sketch the palette is compared as a wash on paper.
- Scene, time, hat, subject: a classifier trained on drawings in the style."""
