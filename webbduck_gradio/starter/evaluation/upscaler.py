"""Evaluates the starter upscaler against Lanczos, on held-out drawings, photographs and synthetic images."""

from __future__ import annotations

import importlib.util
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.progress import SilentReporter
from ...core.upscaling import upscale
from ...models.probe.safetensors_header import read_header
from ..drawing.scenes import NATIVE_SIZE, draw, sample
from ..drawing.synthetic_images import KINDS, Picture, synthetic_image
from ..training.upscaler import KERNELS, shrink
from .contact_sheets import save_jpeg
from .sections import EvalContext, Row, Section

FILE = "webbduck-starter-x2.safetensors"
GAIN, HARM = 1.0, -0.1
"""Targets in dB relative to Lanczos: minimum gain on drawings, maximum loss on other images."""
_DRAWINGS = 32
_PHOTOS = ("cheetah.jpg", "cheetah1.jpg", "groot.jpeg", "lion.jpg", "tower.jpg")
"""Photographs from Gradio's package, never used for training."""


def psnr(made: Picture, real: Picture) -> float:
    """Peak signal-to-noise ratio of two 8-bit RGB images in dB, at most 100."""
    error = np.square(made.astype(np.float64) - real).mean()
    return float(min(100.0, 10 * np.log10(255.0**2 / max(error, 1e-12))))


@dataclass(frozen=True)
class Compared:
    """PSNR in dB of one image, downscaled and upscaled again with both methods."""

    lanczos: float
    model: float

    @property
    def gain(self) -> float:
        return self.model - self.lanczos


def compare(large: Picture, kernel: str, model: Path, scale: int = 2) -> Compared:
    """Downscale `large` (sides divisible by `scale`) with `kernel`, upscale it with our own code, and
    compare."""
    small = Image.fromarray(shrink(large, kernel, scale))
    silent = SilentReporter()
    lanczos, made = (np.asarray(upscale(small, scale, each, "cpu", silent)[0]) for each in (None, model))
    return Compared(psnr(lanczos, large), psnr(made, large))


def held_out_drawings(count: int, side: int = 2 * NATIVE_SIZE, seed: int = 91) -> list[Picture]:
    """Square drawings of held-out combinations, `side` pixels wide."""
    rng = random.Random(seed)
    return [draw(sample(rng, held_out=True), rng.randrange(2**31), side, side) for _ in range(count)]


def photographs() -> list[tuple[str, Picture]]:
    """Name and pixels of the photographs in the installed Gradio, cropped to sides divisible by 4."""
    found = importlib.util.find_spec("gradio")
    if found is None or found.origin is None:
        return []
    folder = Path(found.origin).parent / "media_assets" / "images"
    pictures = []
    for name in _PHOTOS:
        if (folder / name).is_file():
            with Image.open(folder / name) as image:
                pixels = np.asarray(image.convert("RGB"))
            height, width = (side // 4 * 4 for side in pixels.shape[:2])
            pictures.append((name, pixels[:height, :width]))
    return pictures


def _mean_gain(results: Iterable[Compared]) -> float:
    return statistics.fmean(each.gain for each in results)


def section(context: EvalContext) -> Section | None:
    """The evaluation of the upscaler; None if its file is missing."""
    model = context.models / "upscale" / FILE
    if not model.is_file():
        return None
    drawings = held_out_drawings(_DRAWINGS)
    by_kernel = {kernel: [compare(each, kernel, model) for each in drawings] for kernel in KERNELS}
    every = [each for results in by_kernel.values() for each in results]
    before, after = (statistics.fmean(getattr(each, n) for each in every) for n in ("lanczos", "model"))
    rows = [
        Row.at_least("held-out drawings x2: gain over Lanczos", _mean_gain(every), GAIN, "dB"),
        Row("of which Lanczos / upscaler", f"{before:.2f} / {after:.2f} dB"),
        *(
            Row(f"shrunk by {kernel}: gain", f"{_mean_gain(results):+.2f} dB")
            for kernel, results in by_kernel.items()
        ),
        Row("the drawing that gained least", f"{min(each.gain for each in every):+.2f} dB"),
    ]
    large = held_out_drawings(8, 4 * NATIVE_SIZE)
    rows.append(
        Row(
            "x4, in two passes: gain",
            f"{_mean_gain(compare(each, 'area', model, 4) for each in large):+.2f} dB",
        )
    )
    photos = photographs()
    results = {name: [compare(each, kernel, model) for kernel in KERNELS] for name, each in photos}
    if results:
        worst = min(_mean_gain(each) for each in results.values())
        rows.append(Row.at_least(f"worst of {len(photos)} photographs: gain", worst, HARM, "dB"))
        values = ", ".join(f"{name.split('.')[0]} {_mean_gain(each):+.2f}" for name, each in results.items())
        rows.append(Row("photographs: gain in dB", values))
    for kind in dict.fromkeys(KINDS):
        made = [synthetic_image(10_000_000 + index, kind=kind) for index in range(6)]
        gain = _mean_gain(compare(each, kernel, model) for each in made for kernel in KERNELS)
        rows.append(Row.at_least(f"made by rule, {kind}: gain", gain, HARM, "dB"))
    if context.folder is not None:
        _sheet(
            drawings[:6], [each for _, each in photos[:2]], model, context.folder / "starter-kit-upscaler.jpg"
        )
    return Section("Starter upscaler", rows, _text(model))


def _sheet(drawings: Sequence[Picture], photos: Sequence[Picture], model: Path, path: Path) -> None:
    """A row of crops per image: Lanczos, upscaler, original; enlarged with nearest neighbour."""
    side, times = 128, 2
    rows = []
    for picture in [*drawings, *photos]:
        small = Image.fromarray(shrink(picture, "area"))
        ways = [upscale(small, 2, each, "cpu", SilentReporter())[0] for each in (None, model)]
        height, width = picture.shape[:2]
        left, top = (width - side) // 2, max(0, round(height * 0.38) - side // 2)
        box = (left, top, left + side, top + side)
        cuts = [np.asarray(each.crop(box)) for each in (*ways, Image.fromarray(picture))]
        rows.append(np.concatenate([np.repeat(np.repeat(cut, times, 0), times, 1) for cut in cuts], axis=1))
    half = (len(rows) + 1) // 2
    columns = [np.concatenate(part, axis=0) for part in (rows[:half], rows[half:])]
    tall = max(each.shape[0] for each in columns)
    padded = [np.pad(each, ((0, tall - each.shape[0]), (0, 0), (0, 0))) for each in columns]
    save_jpeg(Image.fromarray(np.concatenate(padded, axis=1)), path, 300_000)


def _text(model: Path) -> str:
    return f"""{_DRAWINGS} held-out drawings of {2 * NATIVE_SIZE} pixels, each shrunk by {len(KERNELS)} rules
({", ".join(KERNELS)}), enlarged through the studio's own code with Lanczos and with the upscaler, and
compared with the drawing by PSNR. Photographs: those that Gradio's package holds; no training has seen any,
but the share of other pictures in the last two stretches was chosen by looking at these and the texture row.
Pictures made by rule: leaves (overlapping shapes with a photograph's spectrum), texture, gradient, text, from
seeds that no training uses.

Lanczos (left), the upscaler (middle), the true picture (right), cut out of the middle:

![Lanczos against the upscaler](starter-kit-upscaler.jpg)

Where the weights come from: {read_header(model).metadata.get("provenance", "not said")}
"""
