"""Degrades drawings by a known amount, from which the refiner learns the aesthetic score."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

GOOD = (6.0, 7.0)
"""Aesthetic scores of undegraded drawings. The default of SDXL's refiner is 6."""
POOR = (2.0, 3.5)
"""Scores of the most and least degraded drawings. SDXL's default negative score is 2.5."""


def severity(seed: int) -> float:
    """Severity of `degraded` for this drawing seed, 0..1."""
    return random.Random(seed ^ 0x5EED).random()


def poor_score(seed: int) -> float:
    """The aesthetic score of the degraded image with this drawing seed."""
    return POOR[1] - (POOR[1] - POOR[0]) * severity(seed)


def degraded(picture: np.ndarray, seed: int) -> np.ndarray:
    """`picture` (h, w, 3, 8-bit RGB) blurred, upscaled from a small one, or with strong JPEG artefacts."""
    rng = random.Random(seed)
    how_bad = severity(seed)
    image = Image.fromarray(picture)
    kind = rng.choice(("blur", "blur", "enlarged", "compressed"))
    if kind == "enlarged":
        factor = 1.6 + 2.0 * how_bad
        small = image.resize(
            (round(image.width / factor), round(image.height / factor)), Image.Resampling.BICUBIC
        )
        image = small.resize(image.size, Image.Resampling.BILINEAR)
    else:
        image = image.filter(ImageFilter.GaussianBlur(0.7 + (1.8 if kind == "blur" else 0.6) * how_bad))
    if kind == "compressed":
        data = BytesIO()
        image.save(data, "JPEG", quality=round(34 - 26 * how_bad))
        image = Image.open(data).convert("RGB")
    return np.asarray(image)
