"""The written form of an evaluation: a page in Markdown with contact sheets beside it."""

from __future__ import annotations

import json
from pathlib import Path

from .evaluate import GUIDANCE, STEPS, Report, evaluate, open_pipeline, paint
from .scenes import SIZES, draw
from .sheets import contact_sheet, save_jpeg

_SHOWN = 48
_WIDE_PROMPTS = (
    "a yellow duck wearing a golden crown on a pond at sunset",
    "a green duck wearing a red party hat in the snow on a sunny day",
    "a white duck in a meadow on a sunny day",
    "a black cat on the beach at night",
)


def write_report(checkpoint: Path, work: Path, prompts: int, folder: Path | None) -> Report:
    """Evaluate `checkpoint`; where `folder` is given, write starter-kit.md and its contact sheets there."""
    report, pictures, asked = evaluate(checkpoint, work, prompts)
    if folder is None:
        return report
    folder.mkdir(parents=True, exist_ok=True)
    labels = [prompt for _, prompt in asked]
    save_jpeg(contact_sheet(pictures[:_SHOWN], labels[:_SHOWN]), folder / "starter-kit.jpg")
    # Drawn above, painted below: is it the same illustrator?
    drawn = [draw(attributes, index) for index, (attributes, _) in enumerate(asked[:8])]
    beside = contact_sheet(
        [*drawn, *pictures[:8]], [f"drawn: {p}" for p in labels[:8]] + [f"painted: {p}" for p in labels[:8]]
    )
    save_jpeg(beside, folder / "starter-kit-drawn-and-painted.jpg", 150_000)
    pipeline = open_pipeline(checkpoint)
    wide, names = [], []
    for width, height in SIZES[1:]:
        wide += paint(pipeline, _WIDE_PROMPTS, [5, 6, 7, 8], width=width, height=height)
        names += [f"{width}x{height}: {prompt}" for prompt in _WIDE_PROMPTS]
    save_jpeg(contact_sheet(wide, names), folder / "starter-kit-sizes.jpg", 200_000)
    (folder / "starter-kit.md").write_text(_page(report, checkpoint), encoding="utf-8")
    return report


def _page(report: Report, checkpoint: Path) -> str:
    provenance = json.loads((checkpoint / "webbduck.json").read_text())["provenance"]
    judge = ", ".join(f"{question} {value:.1%}" for question, value in report.judge.items())
    return f"""# The starter kit, measured

Written by `python -m webbduck_gradio.starter evaluate --prompts {report.prompts} --report docs`.

{report.prompts} held-out prompts ({report.distinct} different ones; the others recur with another seed).
Their combinations of subject, colour, hat, setting and time are in no training picture. 256x256,
{STEPS} Euler steps, CFG {GUIDANCE:g}, float32 on the CPU.

{report.table()}

## How it is measured

- Body colour: the palette colour nearest (in L\\*a\\*b\\*) to the median pixel of a fixed window on the
  subject. On drawings it makes no mistake.
- Scene, time, hat and subject: a small classifier, trained on drawings that went through this checkpoint's
  autoencoder. Its own accuracy on held-out drawings that went the same way: {judge}.
  What it gets wrong counts against the models.
- Hats are judged on ducks only, prompts without a hat included ("its absence").
- Negative prompts: the same seeds are painted with and without; counted are the pictures that show the thing
  without, and the share that no longer shows it with.
- PSNR: 48 held-out drawings, encoded and decoded in float32.

## Pictures

The first {_SHOWN} prompts, not chosen:

![{_SHOWN} pictures with their prompts](starter-kit.jpg)

Drawn (above) and painted (below) from the same words:

![drawn and painted](starter-kit-drawn-and-painted.jpg)

Other sizes:

![other aspect ratios](starter-kit-sizes.jpg)

## Where the weights come from

{provenance}
"""
