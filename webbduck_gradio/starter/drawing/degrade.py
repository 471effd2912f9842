"""Makes good drawings worse, by a known amount: what the refiner learns the aesthetic score from."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

GOOD = (6.0, 7.0)
"""Aesthetic scores of drawings as they are. SDXL's refiner is asked for 6 unless something else is said."""
POOR = (2.0, 3.5)
"""Scores of the worst and of the least bad of the degraded ones. SDXL's negative score is 2.5."""


def severity(seed: int) -> float:
    """How badly `degraded` treats the picture with this drawing seed, 0..1."""
    return random.Random(seed ^ 0x5EED).random()


def poor_score(seed: int) -> float:
    """The aesthetic score of the degraded picture with this drawing seed."""
    return POOR[1] - (POOR[1] - POOR[0]) * severity(seed)


def degraded(picture: np.ndarray, seed: int) -> np.ndarray:
    """`picture` (h, w, 3 RGB bytes) out of focus, enlarged from a small one, or saved too small as a JPEG."""
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
