"""Trains the starter detector on drawings of several ducks: it finds their heads and hats.

Every picture is drawn for its step and used only once. Some have no duck, and some are no drawings at all, so
that the detector does not find a duck in everything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import save_file

from ...core.centre_detector import STRIDE, CentreDetector
from ..drawing.flocks import draw_flock
from ..drawing.styles import ink, pixel_art
from ..drawing.subjects import PARTS, Part
from ..drawing.synthetic_images import Picture, synthetic_image
from ..precision import autocast
from .loop import Training, TrainingClock

SIDE = 192
"""Side of the detector's input in pixels; pictures are fitted into it with a grey border."""
BORDER = 114
"""The grey of the border, YOLO's."""
_SEED = 2811
_OTHERS_SHARE = 0.06


def augmented(picture: Picture, rng: random.Random) -> Picture:
    """`picture` blurred, compressed, tinted or in one of the LoRAs' styles, at the same size."""
    style = rng.random()
    if style < 0.06:
        picture = ink(picture)
    elif style < 0.12:
        picture = pixel_art(picture, rng.choice((4, 6, 8)))
    image = Image.fromarray(picture)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.4)))
    if rng.random() < 0.25:
        data = BytesIO()
        image.save(data, "JPEG", quality=rng.randrange(15, 80))
        image = Image.open(data).convert("RGB")
    values: Any = np.asarray(image, dtype=np.float32)
    noise = np.random.default_rng(rng.randrange(2**31))
    values = values * noise.uniform(0.85, 1.12, 3) + noise.uniform(-12, 12)
    values = values + noise.standard_normal(values.shape) * noise.uniform(0, 6)
    return np.clip(values, 0, 255).astype(np.uint8)


def training_picture(rng: random.Random) -> tuple[Picture, list[Part]]:
    """A square picture of SIDE pixels, and the parts in it."""
    seed = rng.randrange(2**31)
    if rng.random() < _OTHERS_SHARE:
        return synthetic_image(seed, SIDE), []
    wide = rng.choice((SIDE, SIDE, SIDE, round(SIDE * 0.65), round(SIDE * 0.8)))
    width, height = (SIDE, wide) if rng.random() < 0.5 else (wide, SIDE)
    drawn, parts = draw_flock(seed, width, height)
    sheet = np.full((SIDE, SIDE, 3), BORDER, np.uint8)
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    sheet[top : top + height, left : left + width] = augmented(drawn, rng)
    kept = []
    for part in parts:
        x1, y1, x2, y2 = part.box
        box = (max(x1, 0) + left, max(y1, 0) + top, min(x2, width) + left, min(y2, height) + top)
        kept.append(Part(part.name, box))
    return sheet, kept


def targets(
    parts: Sequence[Sequence[Part]], cells: int = SIDE // STRIDE
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the network should find in square pictures of `cells` x `cells` cells.

    Class scores (n, classes, cells, cells): 1 in the cell of a part's middle and falling with the distance
    from it (CenterNet's splats); boxes (n, 4, cells, cells): left, top, right, bottom in pixels; and how much
    each cell's box counts (n, cells, cells).
    """
    heat = torch.zeros(len(parts), len(PARTS), cells, cells)
    boxes = torch.zeros(len(parts), 4, cells, cells)
    weight = torch.zeros(len(parts), cells, cells)
    middles = (torch.arange(cells) + 0.5) * STRIDE
    for index, shown in enumerate(parts):
        for part in shown:
            left, top, right, bottom = part.box
            x, y = (left + right) / 2, (top + bottom) / 2
            spread_x, spread_y = (max(side / 6, 0.55 * STRIDE) for side in (right - left, bottom - top))
            near = torch.exp(
                -0.5 * (((middles - y) / spread_y)[:, None] ** 2 + ((middles - x) / spread_x) ** 2)
            )
            row, column = (min(cells - 1, max(0, int(at // STRIDE))) for at in (y, x))
            near[row, column] = 1.0
            number = PARTS.index(part.name)
            heat[index, number] = torch.maximum(heat[index, number], near)
            nearer = (near > weight[index]) & (near > 0.3)
            weight[index][nearer] = near[nearer]
            boxes[index][:, nearer] = torch.tensor(part.box)[:, None]
    return heat, boxes, weight


def losses(
    raw: torch.Tensor, heat: torch.Tensor, boxes: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """CenterNet's focal loss of the scores, 1 - GIoU of the boxes, and their mean IoU."""
    logits = raw[:, 4:]
    score = logits.sigmoid()
    count = (heat == 1).sum().clamp_min(1)
    hit = (heat == 1) * (1 - score) ** 2 * F.logsigmoid(logits)
    miss = (1 - heat) ** 4 * score**2 * F.logsigmoid(-logits)
    focal = -(hit + miss).sum() / count

    cells = raw.shape[2]
    middles = (torch.arange(cells) + 0.5) * STRIDE
    sides = raw[:, :4].clamp(-8, 8).exp() * STRIDE
    left, right = middles - sides[:, 0], middles + sides[:, 2]
    top, bottom = middles[:, None] - sides[:, 1], middles[:, None] + sides[:, 3]
    wide = torch.minimum(right, boxes[:, 2]) - torch.maximum(left, boxes[:, 0])
    tall = torch.minimum(bottom, boxes[:, 3]) - torch.maximum(top, boxes[:, 1])
    shared = wide.clamp_min(0) * tall.clamp_min(0)
    true_area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (right - left) * (bottom - top) + true_area - shared
    hull = (torch.maximum(right, boxes[:, 2]) - torch.minimum(left, boxes[:, 0])) * (
        torch.maximum(bottom, boxes[:, 3]) - torch.minimum(top, boxes[:, 1])
    )
    overlap = shared / union.clamp_min(1e-6)
    giou = overlap - (hull - union) / hull.clamp_min(1e-6)
    total = weight.sum().clamp_min(1e-6)
    return focal, ((1 - giou) * weight).sum() / total, ((overlap * weight).sum() / total).item()


def training_batch(step: int, count: int = 16) -> tuple[torch.Tensor, list[list[Part]]]:
    """Pictures (count, 3, SIDE, SIDE) in 0..1 and their parts; deterministic by `step`."""
    rng = random.Random(_SEED * 1_000_003 + step)
    shown = [training_picture(rng) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([picture for picture, _ in shown])).permute(0, 3, 1, 2)
    return (pixels.float() / 255).contiguous(memory_format=torch.channels_last), [p for _, p in shown]


def train_detector(
    work: Path,
    minutes: float,
    steps: int | None = None,
    batch: int = 16,
    peak: float = 2e-3,
    log: Callable[[str], None] = print,
) -> CentreDetector:
    """Train for `minutes` or `steps`, saving state to `work`/detector.pt.

    Returns the network with averaged weights.
    """
    torch.manual_seed(_SEED)
    network = CentreDetector(len(PARTS))
    with torch.no_grad():
        last = network.head[-1]
        assert isinstance(last, torch.nn.Conv2d) and last.bias is not None
        last.weight.mul_(0.1)
        last.bias[:4] = 0.7  # boxes of about four cells
        last.bias[4:] = -4.0  # nothing found: almost all cells are empty (focal loss, Lin et al. 2017)
    training = Training(
        work / "detector.pt",
        {"model": network},
        network.parameters(),
        TrainingClock(minutes=minutes, steps=steps),
        seed=_SEED,
        peak=peak,
        warm_up=60,
        decay=0.998,
        weight_decay=0.01,
        clip=4.0,
    )

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pixels, parts = training_batch(step, batch)
        with autocast():
            raw = network.raw(pixels)
        focal, box, overlap = losses(raw.float(), *targets(parts))
        return focal + 2 * box, {"focal": focal.item(), "box": box.item(), "overlap": overlap}

    training.run(loss_of)
    log(f"trained {training.clock.step} steps in {training.clock.seconds / 60:.1f} minutes")
    return network.eval()


def export_detector(network: CentreDetector, path: Path, provenance: str) -> None:
    """Write the weights in half precision, with class names, input size, provenance and licence."""
    about = {
        "architecture": "centre-detector",
        "modelspec.architecture": "centre-detector",
        "modelspec.title": "WebbDuck starter detector: duck heads and hats",
        "modelspec.license": "Apache-2.0",
        "names": json.dumps(PARTS),
        "imgsz": str(SIDE),
        "provenance": provenance,
    }
    state = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    save_file(state, partial, metadata=about)
    partial.replace(path)
